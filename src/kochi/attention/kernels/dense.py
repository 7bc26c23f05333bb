"""Dot-product scores with soft selection as two batched matrix products.

It holds the whole alignment, so it is for short rows: there, on the CPU, it was measured faster
than the fused kernels; see `kochi.attention.kernels.rule`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from kochi.attention.kernels.base import Answer, Visible
from kochi.attention.scores.base import Score
from kochi.attention.selections.base import Selection


def dense(
    score: Score,
    selection: Selection,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    values: Float[Tensor, "batch heads source value_size"],
    visible: Visible,
    dropout: float,
    need_alignment: bool,
) -> Answer:
    """Compute ``softmax(scale query keys') values``; the alignment costs nothing more.

    Serves what SDPA serves.
    """
    assert score.dot_scale is not None  # refused when built
    mask = visible.whole(query.shape[2], keys.shape[2], query.device)
    alignment = _Alignment.apply(query, keys, mask, score.dot_scale)
    assert isinstance(alignment, Tensor)
    weights = torch.dropout(alignment, dropout, train=True) if dropout else alignment
    context = torch.bmm(weights.flatten(0, 1), values.flatten(0, 1))
    return Answer(context.unflatten(0, keys.shape[:2]), alignment if need_alignment else None)


class _Alignment(torch.autograd.Function):
    """softmax(scale query keys') over what is visible; an empty row is zeros, backward too."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx, query: Tensor, keys: Tensor, mask: Tensor | None, scale: float
    ) -> Tensor:
        rows = keys.shape[:2]
        query, keys = query.flatten(0, 1), keys.flatten(0, 1)
        scores = _product(query, keys.transpose(1, 2), scale).unflatten(0, rows)
        if mask is None:
            alignment = scores.softmax(-1)
        else:
            hidden = torch.zeros_like(mask, dtype=scores.dtype).masked_fill_(~mask, -torch.inf)
            alignment = scores.add_(hidden).softmax(-1)
            alignment.masked_fill_(~mask.any(-1, keepdim=True), 0.0)
        ctx.save_for_backward(query, keys, alignment)
        ctx.scale = scale
        return alignment

    @staticmethod
    def backward(ctx, grad: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        query, keys, alignment = ctx.saved_tensors
        rows = alignment.shape[:2]
        inner = grad * alignment
        slope = inner.sub_(alignment * inner.sum(-1, keepdim=True)).flatten(0, 1)
        query_grad = _product(slope, keys, ctx.scale)
        keys_grad = _product(slope.transpose(1, 2), query, ctx.scale)
        return query_grad.unflatten(0, rows), keys_grad.unflatten(0, rows), None, None


def _product(
    one: Float[Tensor, "rows a b"], other: Float[Tensor, "rows b c"], scale: float
) -> Float[Tensor, "rows a c"]:
    """Return ``scale one other``."""
    unused = one.new_zeros(1, 1, 1)
    return torch.baddbmm(unused, one, other, beta=0.0, alpha=scale)
