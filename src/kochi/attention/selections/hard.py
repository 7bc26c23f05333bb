"""Hard selection: one position, sampled in training."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.options import is_number
from kochi.attention.selections.base import Choice, SampledSelection
from kochi.attention.selections.drawing import draw_position
from kochi.attention.selections.positions import best_position, hide, widen
from kochi.attention.selections.soft import masked_softmax


def choice_of(
    position: Float[Tensor, "*batch source"],
    scores: Float[Tensor, "*batch source"],
    visible: Bool[Tensor, "*#batch #source"] | None,
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """Return the log-probability of a position under the softmax, and the entropy of the softmax.

    Both are 0 in fully masked rows.

    >>> import torch
    >>> position, scores = torch.tensor([0.0, 1.0, 0.0]), torch.tensor([2.0, 2.0, 9.0])
    >>> result = choice_of(position, scores, torch.tensor([True, True, False]))
    >>> [round(number.item(), 4) for number in result]  # log(1/2) and log(2)
    [-0.6931, 0.6931]
    """
    log_alignment = hide(scores, visible).log_softmax(-1)
    if visible is not None:
        log_alignment = torch.where(visible, log_alignment, 0.0)
    share = log_alignment.exp()
    if visible is not None:
        share = torch.where(visible, share, 0.0)
    return (position * log_alignment).sum(-1), -(share * log_alignment).sum(-1)


class Hard(SampledSelection):
    """Attend to one position, sampled from the softmax in training, else the most probable one.

    Xu et al. 2015, section 4.1, equations 8 to 12; https://arxiv.org/abs/1502.03044. The alignment
    is constant for autograd: a loss learns through ``reward * log_probability`` (with a baseline
    subtracted from the reward) and a little ``entropy``. The `Choice` holds both, at least in
    float32. No parameters.

    Args:
        expected_share: Probability that a sentence uses the softmax itself in training instead of a
            sample, as in `Soft`, with its gradient. This lowers the variance. The paper uses 0.5
            for each image (section 4.1); the default 0 means never. It is drawn once per sentence
            and holds for all heads and steps, as long as the state is passed on. For such a
            sentence, the log-probability is 0 without a gradient, and the entropy is that of the
            softmax. The expected gradient is the two gradients mixed in this ratio.

    Raises:
        ValueError: ``expected_share`` is not between 0 and 1.
    """

    def __init__(self, *, expected_share: float = 0.0) -> None:
        super().__init__()
        if not is_number(expected_share) or not 0.0 <= expected_share <= 1.0:
            raise ValueError(
                f"expected_share: got {expected_share!r}, expected a number from 0 to 1"
            )
        self.expected_share = expected_share

    def settle(
        self, expected: Bool[Tensor, " batch"] | None, batch: int, device: torch.device
    ) -> tuple[SampledSelection, Bool[Tensor, " batch"] | None]:
        """Draw once for each sentence; see `SampledSelection.settle`."""
        if not self.training or not self.expected_share:
            return self, None
        if expected is None:
            expected = torch.rand(batch, device=device) < self.expected_share
        return _Settled(self, expected), expected

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Choice:
        """See `draw_position` and `choice_of`; a direct call starts new sentences."""
        _, expected = self.settle(None, scores.shape[0], scores.device)
        return self.choose(scores, visible, expected)

    def choose(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
        expected: Bool[Tensor, " batch"] | None,
    ) -> Choice:
        """Sample a position, or use the softmax for the sentences in ``expected``."""
        wide = widen(scores)
        position = draw_position(wide, visible) if self.training else best_position(wide, visible)
        log_probability, entropy = choice_of(position, wide, visible)
        if expected is not None:
            position = torch.where(
                expected[:, None, None, None], masked_softmax(wide, visible), position
            )
            log_probability = torch.where(expected[:, None, None], 0.0, log_probability)
        return Choice(position.to(scores.dtype), log_probability, entropy)


class _Settled(SampledSelection):
    """A hard selection with the decisions for the sentences of a call."""

    def __init__(self, hard: Hard, expected: Bool[Tensor, " batch"]) -> None:
        super().__init__()
        self.hard, self.expected = hard, expected

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Choice:
        return self.hard.choose(scores, visible, self.expected)
