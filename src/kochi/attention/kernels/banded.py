"""Dot products inside a sliding window, in time and memory of length times width.

Queries are split into blocks; a block is only multiplied with the keys that its windows cover.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.components import Components, name
from kochi.attention.history import Past
from kochi.attention.kernels.base import AttentionMask, KernelOutput
from kochi.attention.kernels.reference import reference_choice, reference_scores
from kochi.attention.kernels.sdpa import sdpa_refusal
from kochi.attention.kernels.second_order import differentiate
from kochi.attention.scopes.base import Band, Scope

BLOCK = {"cpu": 2**18}
BLOCK_ELSEWHERE = 2**24
"""Scores that are computed at a time: on the CPU a megabyte in float32, which stays in the
cache of a core; other devices want few large calls."""
FEWEST, MOST = 32, 128
"""Bounds on the number of queries in a block. A block is about as long as the window: a longer one
computes more unused scores, a shorter one makes small products."""


def banded_refusal(parts: Components) -> str | None:
    """Return why the banded kernel cannot compute these components; ``None`` if it can."""
    if not isinstance(parts.scope, Scope) or type(parts.scope).band is Scope.band:
        return f"the scope {name(parts.scope)} is not a sliding window"
    if parts.relative is not None:
        return f"the relative term {name(parts.relative)} is added to the scores"
    return sdpa_refusal(parts)


def banded(
    parts: Components,
    query: Float[Tensor, "batch heads length size"],
    keys: Float[Tensor, "batch heads length size"],
    values: Float[Tensor, "batch heads length value_size"],
    visible: AttentionMask,
    past: Past | None,
    dropout: float,
    need_alignment: bool,
) -> KernelOutput:
    """Compute ``softmax(scale query keys') values`` inside the band only.

    Supports dot products with soft selection in self-attention. A requested alignment takes an
    extra pass and its full size in memory.
    """
    scale, band = parts.score.dot_scale, visible.band
    assert scale is not None  # refused when built
    assert band is not None  # refused when called
    device = query.device.type
    tensors = query, keys, values
    if torch.is_autocast_enabled(device) and query.dtype != torch.float64:
        tensors = tuple(tensor.to(torch.get_autocast_dtype(device)) for tensor in tensors)
    flat = (tensor.flatten(0, 1) for tensor in tensors)
    windows = _Windows.of(query, band, visible.mask)
    noise = None
    if dropout:
        noise = [
            query.new_empty(shape, dtype=torch.bool).bernoulli_(1.0 - dropout)
            for shape in windows.shapes()
        ]
    context = _Context.apply(*flat, windows, scale, noise, dropout)
    assert isinstance(context, Tensor)
    context = cast(Tensor, context.unflatten(0, query.shape[:2]))
    if not need_alignment:
        return KernelOutput(context, None)
    scores = reference_scores(parts, query, keys, past)
    return KernelOutput(context, reference_choice(parts, scores, visible, past)[0])


class _Part(NamedTuple):
    """A block of queries with the keys that its windows cover."""

    rows: slice
    queries: slice
    positions: slice
    hidden: Float[Tensor, "#rows some_queries some_positions"]


class _Windows(NamedTuple):
    """How the band is cut.

    Args:
        rows: Sentences times heads.
        heads: Heads of a sentence.
        length: Queries, and keys.
        block: Queries of a block.
        together: Rows whose blocks are computed at a time.
        band: What a query sees.
        bias: 0 inside the band of a block, else -inf.
        hidden: 0 for a key that may be seen, else -inf.
        empty: True for queries that see nothing; ``None``: surely there are none.
    """

    rows: int
    heads: int
    length: int
    block: int
    together: int
    band: Band
    bias: Float[Tensor, "block slab"]
    hidden: Float[Tensor, "rows 1 length"] | None
    empty: Bool[Tensor, "rows length 1"] | None

    @classmethod
    def of(
        cls,
        query: Float[Tensor, "batch heads length size"],
        band: Band,
        mask: Bool[Tensor, "#batch 1 1 length"] | None,
    ) -> "_Windows":
        batch, heads, length, _ = query.shape
        around = band.left + band.right
        block = max(1, min(length, max(FEWEST, min(MOST, around + 1))))
        wide = torch.promote_types(query.dtype, torch.float32)
        outside = torch.ones(block, block + around, dtype=torch.bool, device=query.device)
        outside = ~outside.tril(around).triu()
        bias = torch.zeros_like(outside, dtype=wide).masked_fill_(outside, -torch.inf)
        numbers = BLOCK.get(query.device.type, BLOCK_ELSEWHERE)
        together = max(1, min(batch * heads, numbers // bias.numel()))
        hidden = empty = None
        if mask is not None:
            flat = mask.expand(batch, heads, 1, length).flatten(0, 1)
            hidden = torch.zeros_like(flat, dtype=wide).masked_fill_(~flat, -torch.inf)
            empty = _empty(flat.squeeze(1), band)
        return cls(batch * heads, heads, length, block, together, band, bias, hidden, empty)

    def parts(self) -> Iterator[_Part]:
        """Go through the blocks."""
        left, right = self.band
        for row in range(0, self.rows, self.together):
            rows = slice(row, min(self.rows, row + self.together))
            for first in range(0, self.length, self.block):
                queries = slice(first, min(self.length, first + self.block))
                positions = slice(max(0, first - left), min(self.length, queries.stop + right))
                cut = positions.start - (first - left)
                hidden = self.bias[None, : queries.stop - first, cut:]
                hidden = hidden[..., : positions.stop - positions.start]
                if self.hidden is not None:
                    hidden = hidden + self.hidden[rows, :, positions]
                yield _Part(rows, queries, positions, hidden)

    def shapes(self) -> Iterator[tuple[int, ...]]:
        """Return the shapes of the scores of the blocks."""
        for rows, _, _, hidden in self.parts():
            yield (rows.stop - rows.start, *hidden.shape[1:])


def _empty(mask: Bool[Tensor, "rows length"], band: Band) -> Bool[Tensor, "rows length 1"]:
    """Return which queries have no visible key in their window, by counting up to either end."""
    length = mask.shape[1]
    count = torch.nn.functional.pad(mask.cumsum(1), (1, 0))
    here = torch.arange(length, device=mask.device)
    first, after = (here - band.left).clamp_(min=0), (here + band.right + 1).clamp_(max=length)
    return (count[:, after] == count[:, first]).unsqueeze(-1)


class _Context(torch.autograd.Function):
    """The context with the backward pass written out; an empty row's gradient is zero.

    The backward pass computes the alignment anew from the logarithm of each row's sum, as Dao et
    al. 2022 do, algorithm 4 of appendix B; https://arxiv.org/abs/2205.14135
    """

    apply: ClassVar[Callable[..., Any]]  # torch gives it no types

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        windows: _Windows,
        scale: float,
        noise: list[Tensor] | None,
        dropout: float,
    ) -> Tensor:
        context = values.new_empty(*query.shape[:2], values.shape[2])
        totals = windows.bias.new_empty(*query.shape[:2], 1)
        with torch.autocast(query.device.type, enabled=False):
            for index, part in enumerate(windows.parts()):
                scores = _scores(query, keys, part, scale)
                total = scores.logsumexp(-1, keepdim=True)
                if windows.empty is not None:
                    total.masked_fill_(windows.empty[part.rows, part.queries], torch.inf)
                totals[part.rows, part.queries] = total
                weights = scores.sub_(total).exp_()
                if noise is not None:
                    weights.mul_(noise[index]).div_(1.0 - dropout)
                context[part.rows, part.queries] = torch.bmm(
                    weights.to(values.dtype), values[part.rows, part.positions]
                )
        ctx.save_for_backward(query, keys, values, context, totals)
        ctx.rest = windows, scale, noise, dropout
        return context

    @staticmethod
    def backward(ctx: Any, grad: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        rest: tuple[_Windows, float, list[Tensor] | None, float] = ctx.rest
        query, keys, values, context, totals = saved
        windows, scale, noise, dropout = rest
        if torch.is_grad_enabled():

            def formula(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
                return _formula(query, keys, values, *rest)

            found = differentiate(formula, saved[:3], ctx.needs_input_grad, grad)
            return *found, None, None, None, None
        query_grad = torch.empty_like(query)
        keys_grad, values_grad = torch.zeros_like(keys), torch.zeros_like(values)
        inner = (grad * context).sum(-1, keepdim=True, dtype=totals.dtype)
        with torch.autocast(query.device.type, enabled=False):
            for index, part in enumerate(windows.parts()):
                rows, queries, positions, _ = part
                weights = _scores(query, keys, part, scale).sub_(totals[rows, queries]).exp_()
                read = weights
                slope = torch.bmm(grad[rows, queries], values[rows, positions].transpose(1, 2))
                slope = slope.to(weights.dtype)
                if noise is not None:
                    kept = noise[index] / (1.0 - dropout)
                    read, slope = weights * kept, slope.mul_(kept)
                slope = slope.sub_(inner[rows, queries]).mul_(weights).mul_(scale).to(query.dtype)
                read = read.to(values.dtype).transpose(1, 2)
                values_grad[rows, positions] += torch.bmm(read, grad[rows, queries])
                query_grad[rows, queries] = torch.bmm(slope, keys[rows, positions])
                keys_grad[rows, positions] += torch.bmm(slope.transpose(1, 2), query[rows, queries])
        return query_grad, keys_grad, values_grad, None, None, None, None


def _formula(
    query: Float[Tensor, "rows length size"],
    keys: Float[Tensor, "rows length size"],
    values: Float[Tensor, "rows length value_size"],
    windows: _Windows,
    scale: float,
    noise: list[Tensor] | None,
    dropout: float,
) -> Float[Tensor, "rows length value_size"]:
    """Compute the context with what autograd keeps of every block."""
    contexts: dict[int, list[Tensor]] = {}  # of the blocks, by their first row
    for index, part in enumerate(windows.parts()):
        scores = _scores(query, keys, part, scale)
        if windows.empty is None:
            weights = scores.softmax(-1)
        else:  # the softmax of a row of -inf is NaN
            empty = windows.empty[part.rows, part.queries]
            weights = torch.where(empty, 0.0, torch.where(empty, 0.0, scores).softmax(-1))
        if noise is not None:
            weights = weights * noise[index] / (1.0 - dropout)
        context = torch.bmm(weights.to(values.dtype), values[part.rows, part.positions])
        contexts.setdefault(part.rows.start, []).append(context)
    return torch.cat([torch.cat(blocks, dim=1) for blocks in contexts.values()])


def _scores(
    query: Float[Tensor, "rows length size"],
    keys: Float[Tensor, "rows length size"],
    part: _Part,
    scale: float,
) -> Float[Tensor, "some_rows some_queries some_positions"]:
    """Return ``scale query keys'`` of a block, -inf where a query may not look."""
    ours, theirs = query[part.rows, part.queries], keys[part.rows, part.positions]
    scores = torch.bmm(ours, theirs.transpose(1, 2)).to(part.hidden.dtype)
    return scores.mul_(scale).add_(part.hidden)
