"""Entmax selection with a learned alpha."""

import math
from collections.abc import Callable
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from kochi.attention.options import is_number
from kochi.attention.selections.base import Selection
from kochi.attention.selections.positions import hide, keep_positive

MARGIN = 0.01
"""Minimum distance of alpha from 1, where the formula is 0 / 0, and from 2."""
MOST_STEPS = 64
"""Random rows of 2 to 5000 positions needed at most 11, for any alpha, in float32 and float64."""


def entmax(
    scores: Float[Tensor, "*batch source"],
    visible: Bool[Tensor, "*#batch #source"] | None,
    alpha: Float[Tensor, "*#batch 1"],
) -> Float[Tensor, "*batch source"]:
    """Compute ``max((alpha - 1) score[s] - tau, 0)^(1 / (alpha - 1))``, summing to 1.

    Correia, Niculae and Martins 2019, section 3, also for the gradient of alpha;
    https://arxiv.org/abs/1909.00015. Alpha near 1 gives the softmax, 2 the sparsemax. The paper
    finds ``tau`` by bisection. We use Newton's method, from below, on the norm of order ``1 /
    (alpha - 1)`` of ``max((alpha - 1) score - tau, 0)``, which is convex in ``tau``.

    >>> import torch
    >>> scores = torch.tensor([[0.0, 0.0, -5.0]])
    >>> entmax(scores, None, torch.tensor([[1.5]])).round(decimals=4).tolist()
    [[0.5, 0.5, 0.0]]
    """
    if scores.shape[-1] == 0:
        return scores
    alpha = alpha.expand(*scores.shape[:-1], 1)
    return _Entmax.apply(scores, visible, alpha)


def _threshold(scores: Tensor, order: Tensor) -> Tensor:
    """Find ``tau`` for rows whose highest score is 0; ``order = 1 / (alpha - 1)``, above 1."""
    tau = torch.full_like(scores[..., :1], -1.0)
    small = 0.1 * torch.finfo(scores.dtype).eps ** 0.5
    for _ in range(MOST_STEPS):
        above = (scores - tau).relu_()
        power = above.pow(order - 1.0)
        total = (above * power).sum(-1, keepdim=True)
        step = (total - total.pow(1.0 - 1.0 / order)) / power.sum(-1, keepdim=True)
        tau = tau + step
        if bool((step * order <= small).all()):
            break
    return tau


class _Entmax(torch.autograd.Function):
    apply: ClassVar[Callable[..., Tensor]]  # torch gives it no types

    @staticmethod
    def forward(ctx: Any, scores: Tensor, visible: Tensor | None, alpha: Tensor) -> Tensor:
        wide = hide(scores, visible)
        less = alpha.to(wide.dtype) - 1.0
        wide = ((wide - wide.amax(-1, keepdim=True)) * less).clamp_min_(-1.0)
        alignment = (wide - _threshold(wide, 1.0 / less)).relu_().pow_(1.0 / less)
        # Near alpha = 1 the high power amplifies the rounding error of tau.
        alignment = alignment / alignment.sum(-1, keepdim=True)
        if visible is not None:
            alignment = torch.where(visible, alignment, 0.0)
        ctx.save_for_backward(alignment, less)
        ctx.alpha_dtype = alpha.dtype
        return alignment.to(scores.dtype)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor, None, Tensor | None]:
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        alignment, less = saved
        inside = keep_positive(gradient.to(alignment.dtype), alignment)
        skewed = alignment.pow(1.0 - less)  # 0 outside the support: alpha is below 2
        total = skewed.sum(-1, keepdim=True)
        share = skewed / torch.where(total > 0, total, 1.0)
        mean = (inside * share).sum(-1, keepdim=True)
        for_scores = ((inside - mean) * skewed).to(gradient.dtype)
        if not ctx.needs_input_grad[2]:
            return for_scores, None, None
        surprise: Tensor = cast(Any, torch.special).entr(alignment)
        change = (alignment - share) / less.square()
        change = change + (surprise - share * surprise.sum(-1, keepdim=True)) / less
        for_alpha = (inside * change).sum(-1, keepdim=True).to(ctx.alpha_dtype)
        return for_scores, None, for_alpha


class Entmax(Selection):
    """Sparse softmax between softmax and sparsemax, with a learned alpha for each head.

    Alpha is ``1 + sigmoid(shape)`` with a learned ``shape``, kept 0.01 away from 1 and 2.

    Args:
        num_heads: Number of heads; each has its own alpha.
        alpha: Initial value of alpha in all heads; 1.5 is the middle of the range.

    Raises:
        ValueError: Alpha is not between 1.01 and 1.99.
    """

    def __init__(self, num_heads: int = 1, *, alpha: float = 1.5) -> None:
        super().__init__()
        if not is_number(alpha) or not 1.0 + MARGIN < alpha < 2.0 - MARGIN:
            raise ValueError(f"alpha: got {alpha!r}, expected a number between 1.01 and 1.99")
        fraction = (alpha - 1.0 - MARGIN) / (1.0 - 2.0 * MARGIN)
        shape = math.log(fraction / (1.0 - fraction))
        self.shape = nn.Parameter(torch.full((num_heads, 1, 1), shape))  # a

    @property
    def alpha(self) -> Float[Tensor, "heads 1 1"]:
        """The alpha of each head."""
        return 1.0 + MARGIN + (1.0 - 2.0 * MARGIN) * self.shape.sigmoid()

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """See `entmax`."""
        return entmax(scores, visible, self.alpha)
