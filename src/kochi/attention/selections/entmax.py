"""Entmax selection with a learned alpha."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kochi.attention.options import is_number
from kochi.attention.selections.base import Selection
from kochi.attention.selections.positions import hide, keep_positive, positive_power
from kochi.transforms import is_readable, is_traced

MARGIN = 0.01
"""Minimum distance of alpha from 1, where the formula is 0 / 0, and from 2."""
MOST_STEPS = 64
"""Random rows of 2 to 5000 positions needed at most 11, for any alpha, in float32 and float64."""
COUNTED_STEPS = 16
"""The same where no number may decide when to stop."""


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
    wide = hide(scores, visible)
    align = _align if is_traced() else _Entmax.apply  # the compiler takes no Function with a jvp
    return align(wide, visible, alpha.to(wide.dtype)).to(scores.dtype)


def _align(scores: Tensor, visible: Tensor | None, alpha: Tensor) -> Tensor:
    """Return the alignment; its own operations are differentiable."""
    less = alpha - 1.0
    scores = ((scores - scores.amax(-1, keepdim=True)) * less).clamp(min=-1.0)
    order = 1.0 / less
    alignment = positive_power(scores - _threshold(scores, order), order)
    # Near alpha = 1 the high power amplifies the rounding error of tau.
    alignment = alignment / alignment.sum(-1, keepdim=True)
    return alignment if visible is None else torch.where(visible, alignment, 0.0)


def _threshold(scores: Tensor, order: Tensor) -> Tensor:
    """Find ``tau`` for rows whose highest score is 0; ``order = 1 / (alpha - 1)``, above 1.

    Only the last step is differentiated: at the solution no step depends on where it starts.
    """
    tau = torch.full_like(scores[..., :1], -1.0)
    counted = not is_readable(scores)  # no number may decide when to stop
    small = 0.1 * torch.finfo(scores.dtype).eps ** 0.5
    with torch.no_grad():
        for _ in range(COUNTED_STEPS if counted else MOST_STEPS):
            step = _step(scores, order, tau)
            tau = tau + step
            if not counted and bool((step * order <= small).all()):
                break
    return tau + _step(scores, order, tau) if counted else tau


def _step(scores: Tensor, order: Tensor, tau: Tensor) -> Tensor:
    """Return a step of Newton's method."""
    above = (scores - tau).relu()
    power = positive_power(above, order - 1.0)
    total = (above * power).sum(-1, keepdim=True)
    return (total - total.pow(1.0 - 1.0 / order)) / power.sum(-1, keepdim=True)


class _Entmax(torch.autograd.Function):
    apply: ClassVar[Callable[..., Tensor]]  # torch gives it no types
    generate_vmap_rule = True

    @staticmethod
    def forward(scores: Tensor, visible: Tensor | None, alpha: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _align(scores, visible, alpha)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(output, inputs[2])
        ctx.save_for_forward(output, inputs[2])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor | None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        saved: tuple[Tensor, Tensor] = ctx.saved_tensors
        alignment, alpha = saved
        for_scores = _change(alignment, alpha, gradient)
        if not ctx.needs_input_grad[2]:
            return for_scores, None, None
        inside = keep_positive(gradient, alignment)
        return for_scores, None, (inside * _by_alpha(alignment, alpha)).sum(-1, keepdim=True)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor | None, _: None, bend: Tensor | None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        saved: tuple[Tensor, Tensor] = ctx.saved_tensors
        alignment, alpha = saved
        change = torch.zeros_like(alignment)
        if tangent is not None:
            change = change + _change(alignment, alpha, tangent)
        return change if bend is None else change + bend * _by_alpha(alignment, alpha)


def _skewed(alignment: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``p^(2 - alpha)``, and its share of the row; 0 outside the support."""
    skewed = positive_power(alignment, 2.0 - alpha)
    total = skewed.sum(-1, keepdim=True)
    return skewed, skewed / torch.where(total > 0, total, 1.0)


def _change(alignment: Tensor, alpha: Tensor, change: Tensor) -> Tensor:
    """Multiply by the Jacobian of the scores, which is symmetric."""
    skewed, share = _skewed(alignment, alpha)
    inside = keep_positive(change, alignment)
    return (inside - (inside * share).sum(-1, keepdim=True)) * skewed


def _by_alpha(alignment: Tensor, alpha: Tensor) -> Tensor:
    """Return the derivative by alpha."""
    _, share = _skewed(alignment, alpha)
    less = alpha - 1.0
    surprise: Tensor = -alignment * torch.where(alignment > 0, alignment, 1.0).log()
    change = (alignment - share) / less.square()
    return change + (surprise - share * surprise.sum(-1, keepdim=True)) / less


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
