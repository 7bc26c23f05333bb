"""Entmax-1.5 selection: between softmax and sparsemax."""

from collections.abc import Callable
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from kochi.attention.selections.base import Selection
from kochi.attention.selections.positions import hide, keep_positive

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
    return _Entmax15.apply(scores, visible)


def _threshold(scores: Tensor) -> Tensor:
    """Find ``tau`` for rows of halved scores whose highest is 0."""
    tau = torch.full_like(scores[..., :1], -1.0)
    # The error after a step is about its square: below this the step was exact up to rounding.
    small = 0.1 * torch.finfo(scores.dtype).eps ** 0.5
    for _ in range(MOST_STEPS):
        above = (scores - tau).relu_()
        length: Tensor = cast(Any, torch.linalg).vector_norm(above, dim=-1, keepdim=True)
        step = (length - 1.0) * length / above.sum(-1, keepdim=True)
        tau = tau + step
        if bool((step <= small).all()):
            break
    return tau


class _Entmax15(torch.autograd.Function):
    apply: ClassVar[Callable[..., Tensor]]  # torch gives it no types

    @staticmethod
    def forward(ctx: Any, scores: Tensor, visible: Tensor | None) -> Tensor:
        wide = hide(scores, visible)
        wide = ((wide - wide.amax(-1, keepdim=True)) * 0.5).clamp_min_(-1.0)
        alignment = (wide - _threshold(wide)).relu_().square_()
        if visible is not None:
            alignment = torch.where(visible, alignment, 0.0)
        narrow = alignment.to(scores.dtype)
        ctx.save_for_backward(alignment)
        return narrow

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor, None]:
        saved: tuple[Tensor] = ctx.saved_tensors
        (alignment,) = saved
        root = alignment.sqrt()
        inside = keep_positive(gradient.to(alignment.dtype), alignment)
        total = root.sum(-1, keepdim=True)
        mean = (inside * root).sum(-1, keepdim=True) / torch.where(total > 0, total, 1.0)
        return ((inside - mean) * root).to(gradient.dtype), None


class Entmax15(Selection):
    """Sparse softmax with alpha 1.5, less sparse than sparsemax; no parameters."""

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """See `entmax15`."""
        return entmax15(scores, visible)
