"""The Triton programs of `kochi.attention.kernels.triton_additive`; needs the package triton.

Import it only to run them: whether they are interpreted or compiled is settled by then. All sums
are kept in 32 bits. Pointers come first, then lengths, then what is fixed when a program is
compiled, in capital letters.
"""

# Triton ships no types.
# pyright: standard

from typing import no_type_check

import triton
import triton.language as tl
from triton import knobs

INTERPRETED: bool = knobs.runtime.interpret
"""Whether the programs run on the CPU, slowly: TRITON_INTERPRET=1 when triton was imported."""
WIDEN = tl.constexpr(INTERPRETED)
"""Multiply matrices in 32 bits: the interpreter takes bfloat16 there for whole numbers."""


@triton.jit
@no_type_check
def _tanh(x):
    """Return tanh without overflow; `tl` has none."""
    small = tl.exp(-2.0 * tl.abs(x))
    size = (1.0 - small) / (1.0 + small)
    return tl.where(x < 0.0, -size, size)


@triton.jit
@no_type_check
def _product(one, other):
    """Return the product of two matrices in 32 bits."""
    if WIDEN:
        one, other = one.to(tl.float32), other.to(tl.float32)
    return tl.dot(one, other, input_precision="ieee")


@triton.jit
@no_type_check
def _tile(numbers, rows, columns, length, SIZE):
    """Load a tile of ``[length, SIZE]`` numbers, 0 beyond its edges."""
    inside = (rows[:, None] < length) & (columns[None, :] < SIZE)
    return tl.load(numbers + rows[:, None] * SIZE + columns[None, :], mask=inside, other=0.0)


@triton.jit
@no_type_check
def _add_tile(numbers, rows, columns, length, SIZE, tile):
    """Add a tile to ``[length, SIZE]`` numbers, whoever else does so at the same time."""
    inside = (rows[:, None] < length) & (columns[None, :] < SIZE)
    address = numbers + rows[:, None] * SIZE + columns[None, :]
    tl.atomic_add(address, tile, mask=inside, sem="relaxed")


@triton.jit
@no_type_check
def _hidden(query, keys, t, s, h, target, source, SIZE):
    """Return ``tanh(query[t] + key[s])`` for some of the hidden layer."""
    ours = _tile(query, t, h, target, SIZE).to(tl.float32)
    theirs = _tile(keys, s, h, source, SIZE).to(tl.float32)
    return _tanh(ours[:, None, :] + theirs[None, :, :])


@triton.jit
@no_type_check
def _scores(
    query, keys, vector, t, s, target, source, SIZE, HIDDEN: tl.constexpr, QUERIES: tl.constexpr,
    PLACES: tl.constexpr,
):  # fmt: skip
    """Return ``<vector, tanh(query[t] + key[s])>``, summed over parts of the hidden layer."""
    scores = tl.zeros([QUERIES, PLACES], tl.float32)
    for first in range(0, SIZE, HIDDEN):
        h = first + tl.arange(0, HIDDEN)
        weight = tl.load(vector + h, mask=h < SIZE, other=0.0).to(tl.float32)
        hidden = _hidden(query, keys, t, s, h, target, source, SIZE)
        scores += tl.sum(hidden * weight[None, None, :], axis=2)
    return scores


@triton.jit
@no_type_check
def _seen(
    mask, t, s, target, source, left, right, target_stride, source_stride, MASKED: tl.constexpr
):
    """Return which positions a query sees: inside the band and the mask."""
    here, there = t[:, None], s[None, :]
    seen = (here < target) & (there < source)
    seen = seen & (here - there <= left) & (there - here <= right)
    if MASKED:
        address = mask + here.to(tl.int64) * target_stride + there * source_stride
        seen = seen & (tl.load(address, mask=seen, other=0) != 0)
    return seen


@triton.jit
@no_type_check
def read(
    query, keys, vector, values, mask, context, total,
    target, source, left, right, heads, vector_stride,
    batch_stride, head_stride, target_stride, source_stride,
    SIZE: tl.constexpr, VALUE_SIZE: tl.constexpr, MASKED: tl.constexpr, QUERIES: tl.constexpr,
    PLACES: tl.constexpr, HIDDEN: tl.constexpr, VALUES: tl.constexpr,
):  # fmt: skip
    """Compute the context of some queries, and the logarithm of each one's sum.

    The programs are rows (sentences times heads) x blocks of queries x parts of the values. The
    softmax is carried from one block of positions to the next by its maximum and its sum; the sum
    of a query without visible positions is infinity.
    """
    row, part = tl.program_id(0), tl.program_id(2)
    start = tl.program_id(1) * QUERIES
    head = row % heads
    long = row.to(tl.int64)
    query += long * target * SIZE
    keys += long * source * SIZE
    values += long * source * VALUE_SIZE
    context += long * target * VALUE_SIZE
    total += long * target
    vector += head * vector_stride
    mask += (long // heads) * batch_stride + head * head_stride
    t = start + tl.arange(0, QUERIES)
    d = part * VALUES + tl.arange(0, VALUES)
    most = tl.full([QUERIES], float("-inf"), tl.float32)
    summed = tl.zeros([QUERIES], tl.float32)
    found = tl.zeros([QUERIES, VALUES], tl.float32)
    after = tl.minimum(source, start + QUERIES + right)
    for first in range(tl.maximum(start - left, 0) // PLACES * PLACES, after, PLACES):
        s = first + tl.arange(0, PLACES)
        scores = _scores(
            query, keys, vector, t, s, target, source, SIZE, HIDDEN, QUERIES, PLACES
        )  # fmt: skip
        seen = _seen(
            mask, t, s, target, source, left, right, target_stride, source_stride, MASKED
        )  # fmt: skip
        scores = tl.where(seen, scores, float("-inf"))
        higher = tl.maximum(most, tl.max(scores, axis=1))
        base = tl.where(higher == float("-inf"), 0.0, higher)
        weights = tl.exp(scores - base[:, None])
        shrink = tl.exp(most - base)
        some = _tile(values, s, d, source, VALUE_SIZE)
        read_here = _product(weights.to(some.dtype), some)
        found = found * shrink[:, None] + read_here
        summed = summed * shrink + tl.sum(weights, axis=1)
        most = higher
    empty = summed == 0.0
    summed = tl.where(empty, 1.0, summed)
    inside = (t[:, None] < target) & (d[None, :] < VALUE_SIZE)
    found = (found / summed[:, None]).to(context.dtype.element_ty)
    tl.store(context + t[:, None] * VALUE_SIZE + d[None, :], found, mask=inside)
    logarithm = tl.where(empty, float("inf"), most + tl.log(summed))
    tl.store(total + t, logarithm, mask=(t < target) & (part == 0))


@triton.jit
@no_type_check
def read_backward(
    query, keys, vector, values, mask, total, grad, inner,
    query_grad, keys_grad, vector_grad, values_grad,
    target, source, left, right, heads, vector_stride,
    batch_stride, head_stride, target_stride, source_stride,
    SIZE: tl.constexpr, VALUE_SIZE: tl.constexpr, MASKED: tl.constexpr, QUERIES: tl.constexpr,
    PLACES: tl.constexpr, HIDDEN: tl.constexpr, VALUES: tl.constexpr,
):  # fmt: skip
    """Accumulate the gradients of some positions; all four start at zero.

    The programs are rows x blocks of positions. Several programs add to the gradient of the queries
    at a time; the gradient of the vector has a row for each program.
    """
    row, block = tl.program_id(0), tl.program_id(1)
    head = row % heads
    long = row.to(tl.int64)
    query += long * target * SIZE
    query_grad += long * target * SIZE
    keys += long * source * SIZE
    keys_grad += long * source * SIZE
    values += long * source * VALUE_SIZE
    values_grad += long * source * VALUE_SIZE
    grad += long * target * VALUE_SIZE
    total += long * target
    inner += long * target
    vector += head * vector_stride
    vector_grad += (long * tl.num_programs(1) + block) * SIZE
    mask += (long // heads) * batch_stride + head * head_stride
    start = block * PLACES
    s = start + tl.arange(0, PLACES)
    after = tl.minimum(target, start + PLACES + left)
    for first in range(tl.maximum(start - right, 0) // QUERIES * QUERIES, after, QUERIES):
        t = first + tl.arange(0, QUERIES)
        scores = _scores(
            query, keys, vector, t, s, target, source, SIZE, HIDDEN, QUERIES, PLACES
        )  # fmt: skip
        seen = _seen(
            mask, t, s, target, source, left, right, target_stride, source_stride, MASKED
        )  # fmt: skip
        sums = tl.load(total + t, mask=t < target, other=float("inf"))
        weights = tl.exp(tl.where(seen, scores, float("-inf")) - sums[:, None])
        slope = tl.zeros([QUERIES, PLACES], tl.float32)
        for some in range(0, VALUE_SIZE, VALUES):
            d = some + tl.arange(0, VALUES)
            theirs = _tile(values, s, d, source, VALUE_SIZE)
            ours = _tile(grad, t, d, target, VALUE_SIZE)
            slope += _product(ours, tl.trans(theirs))
            read_here = _product(tl.trans(weights.to(ours.dtype)), ours)
            _add_tile(values_grad, s, d, source, VALUE_SIZE, read_here)
        slope = weights * (slope - tl.load(inner + t, mask=t < target, other=0.0)[:, None])
        for some in range(0, SIZE, HIDDEN):
            h = some + tl.arange(0, HIDDEN)
            weight = tl.load(vector + h, mask=h < SIZE, other=0.0).to(tl.float32)
            hidden = _hidden(query, keys, t, s, h, target, source, SIZE)
            pull = tl.sum(tl.sum(slope[:, :, None] * hidden, axis=1), axis=0)
            tl.atomic_add(vector_grad + h, pull, mask=h < SIZE, sem="relaxed")
            bent = slope[:, :, None] * (1.0 - hidden * hidden) * weight[None, None, :]
            _add_tile(query_grad, t, h, target, SIZE, tl.sum(bent, axis=1))
            _add_tile(keys_grad, s, h, source, SIZE, tl.sum(bent, axis=0))
