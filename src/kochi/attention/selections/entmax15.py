"""Entmax-1.5 selection: between softmax and sparsemax."""

from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.selections.base import Selection
from kochi.attention.selections.positions import hide, keep_positive, positive_power, sorted_sums
from kochi.attention.selections.projection import make_projection
from kochi.transforms import is_readable

MOST_STEPS = 64
"""Random rows of 2 to 5000 positions needed at most 7, in float32 and float64."""


def entmax15(
    scores: Float[Tensor, "*batch source"], visible: Bool[Tensor, "*#batch #source"] | None
) -> Float[Tensor, "*batch source"]:
    """Compute ``max(score[s] / 2 - tau, 0)^2``, with the ``tau`` that makes a row sum to 1.

    Peters, Niculae and Martins 2019, section 3, with alpha = 1.5; https://arxiv.org/abs/1905.05702.
    The paper finds ``tau`` by sorting. We use Newton's method, starting from ``max / 2 - 1``, on
    the length of the vector ``max(score / 2 - tau, 0)``, which is convex in ``tau``: steps never
    overshoot, and each doubles the number of correct digits.

    >>> import torch
    >>> entmax15(torch.tensor([[0.0, 0.0, -5.0], [0.0, 4.0, 0.0]]), None).round(decimals=4).tolist()
    [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]
    """
    if scores.shape[-1] == 0:
        return scores
    return _project(hide(scores, visible), visible).to(scores.dtype)


def _threshold(scores: Tensor) -> Tensor:
    """Find ``tau`` for rows of halved scores whose highest is 0."""
    if not is_readable(scores):  # as in the paper: no number decides when to stop
        ordered, count, total, squares = sorted_sums(scores)
        mean = total / count
        variance = squares / count - mean.square()
        taus = mean - positive_power(1.0 / count - variance, 0.5)
        size = (taus <= ordered).sum(-1, keepdim=True)
        tau = taus.gather(-1, size - 1)
        return tau + _step(scores, tau)  # sums of long rows are rounded
    tau = torch.full_like(scores[..., :1], -1.0)
    # The error after a step is about its square: below this the step was exact up to rounding.
    small = 0.1 * torch.finfo(scores.dtype).eps ** 0.5
    for _ in range(MOST_STEPS):
        step = _step(scores, tau)
        tau = tau + step
        if bool((step <= small).all()):
            break
    return tau


def _step(scores: Tensor, tau: Tensor) -> Tensor:
    """Return a step of Newton's method."""
    above = (scores - tau).relu()
    length: Tensor = cast(Any, torch.linalg).vector_norm(above, dim=-1, keepdim=True)
    return (length - 1.0) * length / above.sum(-1, keepdim=True)


def _align(scores: Tensor, visible: Tensor | None) -> Tensor:
    """Return the alignment; its own operations are differentiable where `_threshold` sorts."""
    scores = ((scores - scores.amax(-1, keepdim=True)) * 0.5).clamp(min=-1.0)
    alignment = (scores - _threshold(scores)).relu().square()
    return alignment if visible is None else torch.where(visible, alignment, 0.0)


def _change(alignment: Tensor, change: Tensor) -> Tensor:
    """Multiply by the Jacobian, which is symmetric: subtract a mean, and weigh by the root."""
    root = positive_power(alignment, 0.5)
    inside = keep_positive(change, alignment)
    total = root.sum(-1, keepdim=True)
    mean = (inside * root).sum(-1, keepdim=True) / torch.where(total > 0, total, 1.0)
    return (inside - mean) * root


_project = make_projection(_align, _change)


class Entmax15(Selection):
    """Sparse softmax with alpha 1.5, less sparse than sparsemax; no parameters."""

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """See `entmax15`."""
        return entmax15(scores, visible)
