"""Sparsemax selection: the projection onto the simplex."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.selections.base import Selection
from kochi.attention.selections.positions import hide, keep_positive, sorted_sums
from kochi.attention.selections.projection import make_projection
from kochi.transforms import is_readable

MOST_STEPS = 64
"""More than Newton's method can need: every step reduces (sum - 1) x (number of positions) to a
quarter, from at most the square of the row's length down to rounding error."""


def sparsemax(
    scores: Float[Tensor, "*batch source"], visible: Bool[Tensor, "*#batch #source"] | None
) -> Float[Tensor, "*batch source"]:
    """Compute ``max(score[s] - tau, 0)``, with the ``tau`` that makes a row sum to 1.

    Martins and Astudillo 2016, section 2.2, proposition 1, and the gradient of section 2.5;
    https://arxiv.org/abs/1602.02068. The paper finds ``tau`` by sorting. We use Newton's method,
    starting from ``max - 1``, a lower bound of ``tau``. The sum is piecewise linear in ``tau``, so
    the last step is exact.

    >>> import torch
    >>> sparsemax(torch.tensor([[1.0, 0.5, -3.0], [0.0, 5.0, 0.0]]), None).tolist()
    [[0.75, 0.25, 0.0], [0.0, 1.0, 0.0]]
    """
    if scores.shape[-1] == 0:
        return scores
    return _project(hide(scores, visible), visible).to(scores.dtype)


def _threshold(scores: Tensor) -> Tensor:
    """Find ``tau`` for rows whose highest score is 0."""
    if not is_readable(scores):  # as in the paper: no number decides when to stop
        ordered, count, total, _ = sorted_sums(scores)
        size = (1.0 + count * ordered > total).sum(-1, keepdim=True)
        return (total.gather(-1, size - 1) - 1.0) / size
    tau = torch.full_like(scores[..., :1], -1.0)
    before = None
    for _ in range(MOST_STEPS):
        above = (scores - tau).relu_()
        excess = above.sum(-1, keepdim=True) - 1.0
        count = above.sign_().sum(-1, keepdim=True)
        tau = tau + excess / count
        if before is not None and torch.equal(before, count):
            break
        before = count
    return tau


def _align(scores: Tensor, visible: Tensor | None) -> Tensor:
    """Return the alignment; its own operations are differentiable where `_threshold` sorts."""
    scores = (scores - scores.amax(-1, keepdim=True)).clamp(min=-1.0)
    alignment = (scores - _threshold(scores)).relu()
    return alignment if visible is None else torch.where(visible, alignment, 0.0)


def _change(alignment: Tensor, change: Tensor) -> Tensor:
    """Multiply by the Jacobian, which is symmetric: subtract the mean over the support."""
    support = alignment.sign()
    inside = keep_positive(change, alignment)
    mean = inside.sum(-1, keepdim=True) / support.sum(-1, keepdim=True).clamp(min=1.0)
    return inside - mean * support


_project = make_projection(_align, _change)


class Sparsemax(Selection):
    """Sparse softmax: positions with low scores get exactly 0; no parameters."""

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """See `sparsemax`."""
        return sparsemax(scores, visible)
