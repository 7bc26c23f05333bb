"""The additive score with its softmax in one pass, for GPUs.

Neither the hidden layer nor the scores are ever held whole.
"""

import functools
import importlib.util
import os
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.components import Components, name
from kochi.attention.history import Past
from kochi.attention.kernels.base import AttentionMask, KernelOutput
from kochi.attention.kernels.blocked import blocked_scores
from kochi.attention.kernels.reference import reference_choice
from kochi.attention.kernels.second_order import differentiate
from kochi.attention.scopes.base import Scope
from kochi.attention.scores.additive import Additive, additive_score
from kochi.attention.selections.soft import Soft, masked_softmax

QUERIES, PLACES, HIDDEN = 16, 32, 16
"""What a program has in registers at a time: so much of the hidden layer, 8,192 numbers. Not tuned:
no GPU was at hand."""
MOST_VALUES, SOME_VALUES = 512, 64
"""Numbers of a value that are summed at a time, forward and backward. The forward pass computes the
scores once more for each further 512."""


@functools.cache
def triton_is_installed() -> bool:
    """Tell whether the package triton can be imported."""
    return importlib.util.find_spec("triton") is not None


def triton_refusal(parts: Components) -> str | None:
    """Say why the Triton kernel cannot serve these parts; ``None`` if it can."""
    if type(parts.score) is not Additive:
        return f"the score {name(parts.score)} is not the additive one"
    if parts.relative is not None:
        return f"the relative term {name(parts.relative)} is added to the scores"
    if not isinstance(parts.scope, Scope):
        return f"the scope {name(parts.scope)} does more than hide positions"
    if type(parts.selection) is not Soft or parts.selection.temperature != 1.0:
        return f"the selection {name(parts.selection)} is not the plain softmax"
    return None if triton_is_installed() else "the package triton is not installed"


def triton_runs_on(device_type: str) -> bool:
    """Tell whether Triton runs on a device; on the CPU it is interpreted, slowly, if at all."""
    return device_type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1"


def triton_additive(
    parts: Components,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    values: Float[Tensor, "batch heads source value_size"],
    visible: AttentionMask,
    past: Past | None,
    dropout: float,
    need_alignment: bool,
) -> KernelOutput:
    """Compute ``softmax(<vector, tanh(query + key)>) values`` by an online softmax.

    Serves the additive score with soft selection, numbers of at most 32 bits, without dropout. The
    softmax over blocks is that of Dao et al. 2022, algorithm 1; https://arxiv.org/abs/2205.14135.
    What it adds up, it adds up in 32 bits. The backward pass computes everything anew and adds the
    gradient of the queries in no fixed order. The alignment, if needed, is one pass more, and as
    large as it is.
    """
    assert isinstance(parts.score, Additive)  # refused when built
    vector = parts.score.weight
    device = query.device.type
    visible = visible.spelled_out(keys.shape[2], keys.device)
    if torch.is_autocast_enabled(device):
        values = values.to(torch.get_autocast_dtype(device))
    context = _Context.apply(query, keys, vector, values, _Sight.of(query, keys, visible))
    assert isinstance(context, Tensor)
    if not need_alignment:
        return KernelOutput(context, None)
    scores = blocked_scores(query, keys, vector)
    return KernelOutput(context, reference_choice(parts, scores, visible, past)[0])


class _Sight(NamedTuple):
    """What may be seen, as the programs want it.

    Args:
        mask: 1 where a query may attend, expanded without taking memory; ``None``: everywhere.
        left: How many positions before a query are seen.
        right: How many positions after it.
    """

    mask: Tensor | None
    left: int
    right: int

    @classmethod
    def of(cls, query: Tensor, keys: Tensor, visible: AttentionMask) -> "_Sight":
        batch, heads, target, _ = query.shape
        source = keys.shape[2]
        left = right = target + source
        if visible.band is not None:
            left, right = (min(reach, left) for reach in visible.band)
        if visible.triangle:
            right = min(right, 0)
        mask: Bool[Tensor, "batch heads target source"] | None = visible.mask
        if mask is not None:
            mask = mask.view(torch.uint8).expand(batch, heads, target, source)
        return cls(mask, left, right)


class _Context(torch.autograd.Function):
    """The context, with both passes in Triton."""

    apply: ClassVar[Callable[..., Any]]  # torch gives it no types

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, query: Tensor, keys: Tensor, vector: Tensor, values: Tensor, sight: _Sight
    ) -> Tensor:
        inputs = query, keys, vector, values
        query, keys, values = query.contiguous(), keys.contiguous(), values.contiguous()
        vector = vector.contiguous()
        batch, heads, target, size = query.shape
        value_size = values.shape[3]
        context = values.new_zeros(batch, heads, target, value_size)
        total = torch.full_like(query[..., 0], torch.inf, dtype=torch.float32)
        if context.numel() and keys.shape[2]:
            # A product of matrices has at least 16 columns.
            width = min(MOST_VALUES, max(16, _power(value_size)))
            grid = batch * heads, _blocks(target, QUERIES), _blocks(value_size, width)
            tensors = query, keys, vector, values, _mask(sight, values), context, total
            _programs().read[grid](*tensors, *_numbers(query, keys, vector, sight), size,
                value_size, sight.mask is not None, QUERIES, PLACES, HIDDEN, width,
                num_warps=4 if width <= 256 else 8, num_stages=1)  # fmt: skip
        ctx.save_for_backward(*inputs, context, total)
        ctx.sight = sight
        return context

    @staticmethod
    def backward(ctx: Any, grad: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        """With weights p, ``slope = p (grad v' - <grad, context>)`` is the scores' gradient.

        That of query plus key is, with ``h = tanh(q + k)``, ``slope vector (1 - h^2)``.
        """
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        query, keys, vector, values, context, total = saved
        query, keys, values = query.contiguous(), keys.contiguous(), values.contiguous()
        vector = vector.contiguous()
        sight: _Sight = ctx.sight
        if torch.is_grad_enabled():

            def formula(query: Tensor, keys: Tensor, vector: Tensor, values: Tensor) -> Tensor:
                return _formula(query, keys, vector, values, sight)

            inputs = query, keys, vector, values
            return *differentiate(formula, inputs, ctx.needs_input_grad, grad), None
        grad = grad.to(values.dtype).contiguous()
        inner = (grad.float() * context).sum(-1)
        rows, blocks = query.shape[0] * query.shape[1], _blocks(keys.shape[2], PLACES)
        query_grad, keys_grad, values_grad = (
            torch.zeros_like(tensor, dtype=torch.float32) for tensor in (query, keys, values)
        )
        vector_grad = vector.new_zeros(rows, blocks, vector.shape[1], dtype=torch.float32)
        if grad.numel() and blocks:
            _programs().read_backward[rows, blocks](
                query, keys, vector, values, _mask(sight, values), total, grad, inner,
                query_grad, keys_grad, vector_grad, values_grad,
                *_numbers(query, keys, vector, sight), query.shape[3], values.shape[3],
                sight.mask is not None, QUERIES, PLACES, HIDDEN, SOME_VALUES,
                num_warps=8, num_stages=1)  # fmt: skip
        vector_grad = cast(Tensor, vector_grad.unflatten(0, query.shape[:2])).sum((0, 2))
        return (
            query_grad.to(query.dtype),
            keys_grad.to(keys.dtype),
            vector_grad.sum_to_size(vector.shape).to(vector.dtype),
            values_grad.to(values.dtype),
            None,
        )


def _formula(
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    vector: Float[Tensor, "weight_heads size"],
    values: Float[Tensor, "batch heads source value_size"],
    sight: _Sight,
) -> Float[Tensor, "batch heads target value_size"]:
    """Compute the context with the whole hidden layer."""
    scores = additive_score(query, keys, vector)
    ahead = torch.arange(keys.shape[2], device=keys.device)
    ahead = ahead - torch.arange(query.shape[2], device=keys.device).unsqueeze(-1)
    visible = (ahead >= -sight.left) & (ahead <= sight.right)
    if sight.mask is not None:
        visible = visible & sight.mask.bool()
    return masked_softmax(scores, visible).to(values.dtype) @ values


def _programs() -> Any:
    """Return the programs; only who runs them needs the package triton."""
    from kochi.attention.kernels import triton_programs

    return triton_programs


def _mask(sight: _Sight, values: Tensor) -> Tensor:
    """Return the mask, or anything that lies on the same device."""
    return values if sight.mask is None else sight.mask


def _numbers(query: Tensor, keys: Tensor, vector: Tensor, sight: _Sight) -> tuple[int, ...]:
    """Return what the programs count with."""
    strides = (0, 0, 0, 0) if sight.mask is None else sight.mask.stride()
    vector_stride = vector.shape[1] if vector.shape[0] > 1 else 0
    return (
        query.shape[2],
        keys.shape[2],
        sight.left,
        sight.right,
        query.shape[1],
        vector_stride,
        *strides,
    )


def _blocks(length: int, block: int) -> int:
    return -(-length // block)


def _power(number: int) -> int:
    """Return the next power of two."""
    return 1 << max(0, number - 1).bit_length()
