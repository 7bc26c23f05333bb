"""Dot-product scores with soft selection through PyTorch's fused kernels."""

import functools
from collections.abc import Callable
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.components import Components, name
from kochi.attention.history import Past
from kochi.attention.kernels.base import AttentionMask, KernelOutput
from kochi.attention.kernels.reference import reference_choice, reference_scores
from kochi.attention.kernels.second_order import differentiate
from kochi.attention.scopes.base import Scope
from kochi.attention.selections.soft import Soft, masked_softmax
from kochi.transforms import is_traced

LONG = 512
"""Queries from which a mask of keys is not expanded to one of all pairs."""
WIDTH = 8
"""Numbers by which vectors grow to hold a mask: fast kernels need a multiple of 8."""


def sdpa_refusal(parts: Components) -> str | None:
    """Say why SDPA cannot serve these parts; ``None`` if it can."""
    why = dot_refusal(parts)
    if why is None and not isinstance(parts.scope, Scope):
        return f"the scope {name(parts.scope)} does more than hide positions"
    return why


def dot_refusal(parts: Components) -> str | None:
    """Say why a kernel for dot products with a softmax cannot serve; ``None`` if it can."""
    if parts.score.dot_scale is None:
        return f"the score {name(parts.score)} is not a dot product of projected vectors"
    if type(parts.selection) is not Soft or parts.selection.temperature != 1.0:
        return f"the selection {name(parts.selection)} is not the plain softmax"
    return None


def sdpa(
    parts: Components,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    values: Float[Tensor, "batch heads source value_size"],
    visible: AttentionMask,
    past: Past | None,
    dropout: float,
    need_alignment: bool,
) -> KernelOutput:
    """Call ``F.scaled_dot_product_attention``; the alignment, if needed, is one pass more.

    Keys and values in hidden positions must be finite: SDPA multiplies them by zero.
    """
    scale = parts.score.dot_scale
    if keys.shape[2] and _is_long(visible, query.shape[2]):
        assert visible.mask is not None and scale is not None
        context = _read_hiding(query, keys, values, visible.mask, scale, dropout)
    else:
        mask, triangle = visible.mask, visible.triangle
        both = triangle and mask is not None  # SDPA takes one or the other
        if both or visible.band is not None or visible.windows is not None:
            mask, triangle = visible.whole(query.shape[2], keys.shape[2], query.device), False
        learned = False
        if visible.bias is not None:
            mask = visible.whole(query.shape[2], keys.shape[2], query.device)
            bias, triangle, learned = (
                visible.bias.to(query.dtype),
                False,
                visible.bias.requires_grad,
            )
            mask = bias if mask is None else torch.where(mask, bias, -torch.inf)
        context = _read((query, keys, values, mask, triangle, scale), dropout, learned)
    if not need_alignment:
        return KernelOutput(context, None)
    scores = reference_scores(parts, query, keys, past)
    return KernelOutput(context, reference_choice(parts, scores, visible, past)[0])


def _is_long(visible: AttentionMask, target_length: int) -> bool:
    """Return whether a triangle and a mask of keys would be expanded to all pairs of many."""
    if not visible.triangle or visible.mask is None or target_length < LONG or is_traced():
        return False
    alone = visible.bias is None and visible.windows is None and visible.band is None
    return alone and visible.mask.shape[1:3] == (1, 1)


def _read_hiding(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    shown: Bool[Tensor, "batch 1 1 source"],
    scale: float,
    dropout: float,
) -> Tensor:
    """Compute a triangle with a mask of keys, which becomes a part of the dot product.

    A query with one more number, 1, and a key with one more, 0 or very low, score as if a mask were
    added. No mask of all pairs is needed, and SDPA takes its fast path for the triangle.
    """
    device, dtype = query.device.type, query.dtype
    if torch.is_autocast_enabled(device) and dtype != torch.float64:
        dtype = torch.get_autocast_dtype(device)  # SDPA will have it
    lowest = max(torch.finfo(dtype).min, -1e30) / (2.0 * max(scale, 1.0))
    ones, hidden = torch.ones_like(query[..., :1]), ~shown.transpose(2, 3)
    low = torch.zeros_like(keys[..., :1]).masked_fill(hidden, lowest)
    rest = WIDTH - 1
    query = torch.cat((query, F.pad(ones, (0, rest))), -1)
    keys = torch.cat((keys, F.pad(low, (0, rest))), -1)
    size, width = values.shape[3], query.shape[3]
    wide = (
        F.pad(values, (0, width - size)) if size < width else values
    )  # fast kernels need one size
    context = _read((query, keys, wide, None, True, scale), dropout)[..., :size]
    # A query before the first key that is shown sees nothing.
    before = shown.cumsum(-1) == 0
    empty = before.transpose(2, 3)
    short = query.shape[2] - keys.shape[2]
    if short > 0:
        empty = torch.cat((empty, empty[:, :, -1:].expand(-1, -1, short, -1)), 2)
    return context.masked_fill(empty[:, :, : query.shape[2]], 0.0)


Inputs = tuple[Tensor, Tensor, Tensor, Tensor | None, bool, float | None]  # of `_fused`


def _read(inputs: Inputs, dropout: float, learned_mask: bool = False) -> Tensor:
    learns = any(one.requires_grad for one in inputs[:3])
    if learns and torch.is_grad_enabled() and not (dropout or learned_mask or is_traced()):
        return _Twice.apply(*inputs)
    return _fused(*inputs, dropout)


def _fused(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None,
    triangle: bool,
    scale: float | None,
    dropout: float = 0.0,
) -> Tensor:
    return F.scaled_dot_product_attention(
        query, keys, values, mask, dropout, is_causal=triangle, scale=scale
    )


def _formula(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None,
    triangle: bool,
    scale: float,
) -> Tensor:
    scores = scale * query @ keys.transpose(2, 3)
    if mask is not None and mask.dtype != torch.bool:
        scores, mask = scores + mask.clamp_min(torch.finfo(mask.dtype).min), mask > -torch.inf
    if triangle:
        mask = torch.ones(scores.shape[2:], dtype=torch.bool, device=scores.device).tril()
    return masked_softmax(scores, mask) @ values


class _Twice(torch.autograd.Function):
    """SDPA with second derivatives, which PyTorch's kernels do not have."""

    apply: ClassVar[Callable[..., Any]]  # torch gives it no types

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(*inputs[:4])
        ctx.rest = inputs[4:]
        with torch.enable_grad():
            needs = ctx.needs_input_grad[:3]
            ctx.inner = [
                one.detach().requires_grad_(need)
                for one, need in zip(inputs[:3], needs, strict=True)
            ]
            ctx.context = _fused(*ctx.inner, *inputs[3:])
        return ctx.context.detach()

    @staticmethod
    def backward(ctx: Any, grad: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        needs = ctx.needs_input_grad
        if torch.is_grad_enabled():
            saved = cast("tuple[Tensor, ...]", ctx.saved_tensors)
            triangle, scale = ctx.rest
            formula = functools.partial(_formula, triangle=triangle, scale=scale)
            return *differentiate(formula, saved, needs[:4], grad), None, None
        needed = [one for one, need in zip(ctx.inner, needs, strict=False) if need]
        found = iter(torch.autograd.grad(ctx.context, needed, grad, retain_graph=True))
        return *(next(found) if need else None for need in needs[:3]), None, None, None
