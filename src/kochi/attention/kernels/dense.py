"""Dot-product scores with soft selection as two batched matrix products.

It holds the whole alignment and is meant for short rows, where it was measured to be faster on the
CPU than the fused kernels; see `kochi.attention.kernels.dispatch`.
"""

from collections.abc import Callable
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor

from kochi.attention.components import Components
from kochi.attention.history import Past
from kochi.attention.kernels.base import AttentionMask, Hidden, KernelOutput

VECTOR = 16
"""On the CPU torch's softmax of rows shorter than a vector register is slower than its
separate operations."""


def dense(
    parts: Components,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    values: Float[Tensor, "batch heads source value_size"],
    visible: AttentionMask,
    past: Past | None,
    dropout: float,
    need_alignment: bool,
) -> KernelOutput:
    """Compute ``(softmax(scale query keys' + bias) * prior) values``; the alignment costs nothing.

    Supports every scope and relative term with a dot product and soft selection.
    """
    scale = parts.score.dot_scale
    assert scale is not None  # refused when built
    if torch.is_autocast_enabled(query.device.type):  # autocast does not apply inside `_Alignment`
        narrow = torch.get_autocast_dtype(query.device.type)
        query, keys, values = query.to(narrow), keys.to(narrow), values.to(narrow)
    hidden = visible.hidden(query.shape[2], keys.shape[2], query.device, query.dtype)
    bias = None if visible.bias is None else visible.bias.to(query.dtype)
    learned = bias is not None and bias.requires_grad
    if torch.is_grad_enabled() and (query.requires_grad or keys.requires_grad or learned):
        alignment = _Alignment.apply(query, keys, bias, *hidden, scale)
        assert isinstance(alignment, Tensor)
    else:
        rows = keys.shape[:2]
        alignment = _align(query.flatten(0, 1), keys.flatten(0, 1), bias, rows, hidden, scale)
    alignment = visible.weigh(alignment)
    weights = torch.dropout(alignment, dropout, train=True) if dropout else alignment
    context = torch.bmm(weights.flatten(0, 1), values.flatten(0, 1))
    return KernelOutput(context.unflatten(0, keys.shape[:2]), alignment if need_alignment else None)


def _align(
    query: Float[Tensor, "rows target size"],
    keys: Float[Tensor, "rows source size"],
    bias: Float[Tensor, "#batch #heads #target source"] | None,
    rows: torch.Size,
    hidden: Hidden,
    scale: float,
) -> Float[Tensor, "batch heads target source"]:
    """Return softmax(scale query keys' + bias) over what is visible; an empty row is zeros.

    ``rows`` is batch and heads.
    """
    scores = cast(Tensor, _product(query, keys.transpose(1, 2), scale).unflatten(0, rows))
    if bias is not None:
        scores = scores.add_(bias)
    if hidden.bias is not None:
        scores = scores.add_(hidden.bias)
    alignment = _softmax_(scores)
    return alignment if hidden.empty is None else alignment.masked_fill_(hidden.empty, 0.0)


def _softmax_(scores: Float[Tensor, "*rows source"]) -> Float[Tensor, "*rows source"]:
    """Return the softmax; may overwrite ``scores``."""
    short = 0 < scores.shape[-1] < VECTOR
    if not short or scores.device.type != "cpu" or scores.dtype.itemsize < 4:
        return scores.softmax(-1)
    exponentials = scores.sub_(scores.amax(-1, keepdim=True)).exp_()
    return exponentials.div_(exponentials.sum(-1, keepdim=True))


class _Alignment(torch.autograd.Function):
    """`_align` with the backward pass written out; an empty row's gradient is zero."""

    apply: ClassVar[Callable[..., Any]]  # torch gives it no types

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        query: Tensor,
        keys: Tensor,
        bias: Tensor | None,
        hidden: Tensor | None,
        empty: Tensor | None,
        scale: float,
    ) -> Tensor:
        flat = query.flatten(0, 1), keys.flatten(0, 1)
        alignment = _align(*flat, bias, keys.shape[:2], Hidden(hidden, empty), scale)
        # Arguments and the result as they are: the backward pass can then be differentiated again.
        ctx.save_for_backward(query, keys, alignment)
        ctx.scale = scale
        ctx.bias_shape = None if bias is None else bias.shape
        return alignment

    @staticmethod
    def backward(ctx: Any, grad: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        query, keys, alignment = saved
        rows = alignment.shape[:2]
        query, keys = query.flatten(0, 1), keys.flatten(0, 1)
        inner = grad * alignment
        slope = inner.sub_(alignment * inner.sum(-1, keepdim=True))
        bias_grad = None
        if ctx.needs_input_grad[2]:
            bias_grad = slope.sum_to_size(ctx.bias_shape)
        slope = slope.flatten(0, 1)
        query_grad = _product(slope, keys, ctx.scale)
        keys_grad = _product(slope.transpose(1, 2), query, ctx.scale)
        query_grad = cast(Tensor, query_grad.unflatten(0, rows))
        keys_grad = cast(Tensor, keys_grad.unflatten(0, rows))
        return query_grad, keys_grad, bias_grad, None, None, None


def _product(
    one: Float[Tensor, "rows a b"], other: Float[Tensor, "rows b c"], scale: float
) -> Float[Tensor, "rows a c"]:
    """Return ``scale one other``."""
    unused = one.new_zeros(1, 1, 1)
    return torch.baddbmm(unused, one, other, beta=0.0, alpha=scale)
