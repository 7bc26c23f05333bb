"""Smoothed selection: normalised sigmoids in place of a softmax."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.selections.base import Selection
from kochi.attention.selections.positions import widen
from kochi.attention.selections.soft import masked_softmax


def smoothed(
    scores: Float[Tensor, "*batch source"], visible: Bool[Tensor, "*#batch #source"] | None
) -> Float[Tensor, "*batch source"]:
    """Compute ``sigmoid(score[s]) / sum over visible r of sigmoid(score[r])``.

    Chorowski et al. 2015, section 2.3, "smoothing"; https://arxiv.org/abs/1506.07503. The sigmoid
    is bounded where the exponential is not, so that several positions can share the attention. It
    is computed as the softmax of ``log sigmoid(score)``, which is stable for very low scores.

    >>> import torch
    >>> scores = torch.tensor([99.0, 0.0, 0.0, 99.0])  # sigmoids 1, 0.5, 0.5 and a hidden one
    >>> smoothed(scores, torch.tensor([True, True, True, False])).round(decimals=4).tolist()
    [0.5, 0.25, 0.25, 0.0]
    """
    wide = widen(scores)
    if visible is not None:  # before the sigmoid: its gradient at NaN is NaN
        wide = torch.where(visible, wide, 0.0)
    return masked_softmax(F.logsigmoid(wide), visible).to(scores.dtype)


class Smoothed(Selection):
    """Attend to every visible position by its normalised sigmoid; no parameters."""

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """See `smoothed`."""
        return smoothed(scores, visible)
