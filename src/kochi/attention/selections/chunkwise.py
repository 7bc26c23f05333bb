"""Monotonic chunkwise selection (MoChA): a soft window at the end of a monotonic walk."""

from typing import TYPE_CHECKING

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.history import Past
from kochi.attention.hooks import call_prepared
from kochi.attention.options import check_count
from kochi.attention.selections.base import RecurrentSelection, Walk
from kochi.attention.selections.monotonic import Monotonic
from kochi.attention.selections.positions import some_visible, widen
from kochi.attention.selections.soft import masked_softmax


def spread_over_chunks(
    standing: Float[Tensor, "*batch source"],
    scores: Float[Tensor, "*batch source"],
    visible: Bool[Tensor, "*#batch #source"] | None,
    window: int,
) -> Float[Tensor, "*batch source"]:
    """Distribute the mass at each position over the ``window`` positions up to it, by a softmax.

    ``alignment[s] = sum over e from s to s + window - 1 of standing[e] * exp(score[s]) / sum over
    r from e - window + 1 to e of exp(score[r])``: Chiu and Raffel 2018, section 2.3;
    https://arxiv.org/abs/1712.05382. Each chunk has its own softmax, so that no score can overflow;
    masked positions are excluded.

    >>> import torch
    >>> standing = torch.tensor([0.0, 0.5, 0.5])
    >>> spread_over_chunks(standing, torch.zeros(3), None, 2).tolist()
    [0.25, 0.5, 0.25]
    """
    if scores.shape[-1] == 0:
        return scores
    before = window - 1
    chunks = F.pad(scores, (before, 0)).unfold(-1, window, 1)
    mask = F.pad(some_visible(scores, visible), (before, 0)).unfold(-1, window, 1)
    shares = standing.unsqueeze(-1) * masked_softmax(chunks, mask)  # [..., end of chunk, in chunk]
    alignment = shares[..., before]
    for back in range(1, min(window, scores.shape[-1])):
        alignment = alignment + F.pad(shares[..., back:, before - back], (0, back))
    return alignment


class Chunkwise(RecurrentSelection):
    """Move like `Monotonic` and attend to the last few positions up to the current one.

    Chiu and Raffel 2018; https://arxiv.org/abs/1712.05382. In expectation in training, by the hard
    walk otherwise (section 2.3). The paper has a second score for the softmax in a chunk; here the
    same score is used for both, so that any score can be used. The next step continues from the
    position of the walk (`Walk.standing`), not from the alignment.

    Args:
        num_heads: Number of heads; each has its own offset.
        window: Number of positions in a chunk, masked ones included; 2 was enough for speech
            recognition in the paper.
        noise: As in `Monotonic`.
        offset: As in `Monotonic`.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self,
        num_heads: int = 1,
        *,
        window: int = 2,
        noise: float = 1.0,
        offset: float = -1.0,
    ) -> None:
        super().__init__()
        check_count("window", window)
        self.window = window
        self.monotonic = Monotonic(num_heads, noise=noise, offset=offset)

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
        past: Past | None,
    ) -> Walk:
        """See `spread_over_chunks`; without ``past.standing``, use the previous alignment."""
        wide, position = widen(scores), None if past is None else past.position
        standing = call_prepared(self.monotonic.walk, wide, visible, position)
        alignment = spread_over_chunks(standing, wide, visible, self.window)
        return Walk(alignment.to(scores.dtype), standing.to(scores.dtype))

    if TYPE_CHECKING:

        def __call__(self, scores: Tensor, visible: Tensor | None, past: Past | None) -> Walk:
            """Type a call as `forward`."""
            ...
