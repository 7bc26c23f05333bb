"""Gumbel-softmax selection: a relaxed sample."""

from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.options import check_positive
from kochi.attention.selections.base import Selection
from kochi.attention.selections.drawing import gumbel_noise
from kochi.attention.selections.positions import best_position, widen
from kochi.attention.selections.soft import masked_softmax
from kochi.attention.selections.straight_through import straight_through


def gumbel_softmax(
    scores: Float[Tensor, "*batch source"],
    visible: Bool[Tensor, "*#batch #source"] | None,
    noise: Float[Tensor, "*batch source"],
    temperature: float,
) -> Float[Tensor, "*batch source"]:
    """Compute ``softmax((score + noise) / temperature)`` over the visible positions.

    Jang, Gu and Poole 2017, section 2, equation 2; https://arxiv.org/abs/1611.01144, and Maddison,
    Mnih and Teh 2017; https://arxiv.org/abs/1611.00712.

    >>> import math, torch
    >>> scores, noise = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0 + 2.0 * math.log(3.0)])
    >>> gumbel_softmax(scores, None, noise, 2.0).round(decimals=4).tolist()
    [0.25, 0.75]
    """
    return masked_softmax((scores + noise) / temperature, visible)


class Gumbel(Selection):
    """Attend to a relaxed sample of one position (Gumbel-softmax); no parameters.

    Outside training nothing is sampled. The alignment is then the softmax without noise and
    temperature, which is the distribution of a sample's argmax; with ``hard`` it is one-hot at the
    most probable position.

    Args:
        temperature: Near 0, a sample is nearly one-hot and its gradient noisy; a high temperature
            makes it nearly uniform.
        hard: Make the sample one-hot at its maximum, with the gradient of the relaxed sample.

    Raises:
        ValueError: The temperature is not a finite number above 0.
    """

    def __init__(self, *, temperature: float = 1.0, hard: bool = False) -> None:
        super().__init__()
        check_positive("temperature", temperature)
        self.temperature = temperature
        self.hard = hard

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """See `gumbel_softmax`."""
        wide = widen(scores)
        if self.training:
            alignment = gumbel_softmax(wide, visible, gumbel_noise(wide), self.temperature)
        else:
            alignment = masked_softmax(wide, visible)
        if self.hard:
            alignment = straight_through(best_position(alignment, visible), alignment)
        return alignment.to(scores.dtype)
