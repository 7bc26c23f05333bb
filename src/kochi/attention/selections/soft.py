"""Soft selection: the masked softmax and the rule for fully masked rows."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.options import check_positive
from kochi.attention.selections.base import Selection
from kochi.attention.selections.positions import keep_positive

MANY = 2**14
"""Number of scores from which multiply-add replaces `torch.where` on the CPU, where it is
faster."""


def masked_softmax(
    scores: Float[Tensor, "*batch source"], visible: Bool[Tensor, "*#batch #source"] | None
) -> Float[Tensor, "*batch source"]:
    """Compute ``exp(score[s]) / sum over visible r of exp(score[r])``; 0 where not visible.

    Bahdanau, Cho and Bengio 2015, equation 6, over the visible positions only. A fully masked row
    and its gradient are all zeros. Values at masked positions, including NaN and infinity, have no
    effect.

    >>> import torch
    >>> visible = torch.tensor([[True, True, False], [False, False, False]])
    >>> masked_softmax(torch.zeros(2, 3), visible).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    """
    if visible is None:
        return scores.softmax(-1)
    # The lowest finite number, not -inf: a row of -inf would be NaN, forward and backward. The
    # second `where` zeroes fully masked rows; in all others it changes nothing.
    lowest = torch.finfo(scores.dtype).min
    if scores.device.type == "cpu" and scores.numel() >= MANY:  # same result, faster
        shown = visible.to(scores.dtype)
        scores = keep_positive(scores, shown) + (1.0 - shown) * lowest
        return keep_positive(scores.softmax(-1), shown)
    return torch.where(visible, torch.where(visible, scores, lowest).softmax(-1), 0.0)


class Soft(Selection):
    """Attend to every visible position by its softmax weight; no parameters.

    Args:
        temperature: Divisor of the scores: below 1 the alignment is sharper, above 1 flatter.

    Raises:
        ValueError: ``temperature`` is not a finite number above 0.
    """

    def __init__(self, *, temperature: float = 1.0) -> None:
        super().__init__()
        check_positive("temperature", temperature)
        self.temperature = temperature

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """See `masked_softmax`."""
        if self.temperature != 1.0:
            scores = scores / self.temperature
        return masked_softmax(scores, visible)
