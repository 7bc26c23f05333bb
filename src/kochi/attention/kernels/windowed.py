"""Windows around given centres, in time and memory of target length times width.

Keys are split into tiles. Queries whose windows begin in the same tile are processed together, a
few at a time, and are only multiplied with the tiles that their windows cover.
"""

import math
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from kochi.attention.components import Components, name
from kochi.attention.history import Past
from kochi.attention.kernels.base import AttentionMask, KernelOutput
from kochi.attention.kernels.blocked import blocked_scores
from kochi.attention.kernels.reference import reference
from kochi.attention.scopes.base import PredictedScope, Scope, Windows
from kochi.attention.scores.additive import Additive
from kochi.attention.selections import (
    Entmax,
    Entmax15,
    Selection,
    Smoothed,
    Soft,
    Sparsemax,
    TopK,
)

SELECTIONS = (Soft, Smoothed, Sparsemax, Entmax15, Entmax, TopK)
"""Of these it is known that what they give to visible positions does not depend on how many hidden
ones there are, nor on where."""
TILE, MOST = 32, 64
"""Positions of a tile and queries of a chunk, about and at most: more of either computes more
scores in vain, fewer make small products and read more of the keys again."""


def windowed_refusal(parts: Components) -> str | None:
    """Return why the windowed kernel cannot compute these components; ``None`` if it can."""
    if not isinstance(parts.scope, Scope | PredictedScope) or parts.scope.reach is None:
        return f"the scope {name(parts.scope)} does not open windows"
    if parts.relative is not None:
        return f"the relative term {name(parts.relative)} is added to the scores"
    if parts.score.dot_scale is None and type(parts.score) is not Additive:
        return (
            f"the score {name(parts.score)} is neither a dot product of projected vectors nor the "
            "additive one"
        )
    if type(parts.selection) not in SELECTIONS:
        return f"the selection {name(parts.selection)} is not known to do without hidden positions"
    return None


def windowed(
    parts: Components,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    values: Float[Tensor, "batch heads source value_size"],
    visible: AttentionMask,
    past: Past | None,
    dropout: float,
    need_alignment: bool,
) -> KernelOutput:
    """Compute attention over the slabs of keys that the windows cover.

    Supports dot products and the additive score. A requested alignment is scattered to its full
    size.
    """
    windows, source = visible.windows, keys.shape[2]
    if not source:
        return reference(
            parts, query, keys, values, visible, past, dropout, need_alignment
        )  # there is nothing to gather
    if windows is None:
        assert visible.band is not None  # refused when called
        here = torch.arange(query.shape[2], device=query.device)[None, None]
        windows = Windows(here, *visible.band)
    assert isinstance(parts.selection, Selection)  # refused when built
    plan = _plan(windows, query.shape[2], source)
    seen, prior = _see(windows, plan, visible.mask, source)
    gathered, slabs = _take(query, plan.gathered), _slabs(keys, plan)
    read = slabs if values is keys else _slabs(values, plan)
    scores = _scores(parts, gathered, slabs).flatten(2, 3)
    alignment = parts.selection(scores, seen.flatten(2, 3))
    if prior is not None:
        alignment = alignment * prior.flatten(2, 3).to(alignment.dtype)
    weights = F.dropout(alignment, dropout) if dropout else alignment
    context = cast(Tensor, weights.unflatten(2, gathered.shape[2:4])) @ read
    context = _take(context.flatten(2, 3), plan.slot)
    if not need_alignment:
        return KernelOutput(context, None)
    return KernelOutput(context, _put_back(alignment, plan, source))


class _Plan(NamedTuple):
    """Which queries are processed together, and with which keys.

    Args:
        tile: Positions of a tile.
        gathered: The queries of each chunk; where there are too few, some query again.
        slot: Where each query was put, counted through the chunks.
        tiles: The tiles of each chunk's slab; some may lie beyond the end.
    """

    tile: int
    gathered: Int[Tensor, "#batch #heads chunks queries"]
    slot: Int[Tensor, "#batch #heads target"]
    tiles: Int[Tensor, "#batch #heads chunks tiles_of_slab"]

    def positions(self) -> Int[Tensor, "#batch #heads chunks slab"]:
        """Return where the keys of the slabs stand."""
        inside = torch.arange(self.tile, device=self.tiles.device)
        return (self.tiles.unsqueeze(-1) * self.tile + inside).flatten(-2)


def _plan(windows: Windows, target: int, source: int) -> _Plan:
    """Sort the queries by the tile in which their windows begin, and cut them into chunks."""
    tile, queries = _cut(target, source, windows.width)
    last = max(0, math.ceil(source / tile) - 1)
    # The nearest whole position: a window around it misses no position that `Windows.mask` sees.
    first = (windows.centre.detach().round() - windows.left).long()
    begin, order = first.div(tile, rounding_mode="floor").clamp(0, last).sort(dim=-1, stable=True)
    here = torch.arange(target, device=order.device).expand_as(order)
    new = F.pad(begin[..., 1:] != begin[..., :-1], (1, 0), value=True)[..., :target]
    rank = here - torch.where(new, here, 0).cummax(-1).values  # within its tile
    chunk = (rank % queries == 0).cumsum(-1) - 1
    chunks = int(chunk.max()) + 1 if target else 0
    position = chunk * queries + rank % queries
    gathered = order[..., :1].repeat_interleave(chunks * queries, -1)
    gathered = gathered.scatter(-1, position, order)
    gathered = cast(Tensor, gathered.unflatten(-1, (chunks, queries)))
    slot = torch.empty_like(order).scatter_(-1, order, position)
    covered = 1 + math.ceil((windows.width - 1) / tile)
    tiles = begin.new_zeros(*begin.shape[:2], chunks).scatter(-1, chunk, begin).unsqueeze(-1)
    return _Plan(tile, gathered, slot, tiles + torch.arange(covered, device=tiles.device))


def _cut(target: int, source: int, width: int) -> tuple[int, int]:
    """Return how many positions a tile has and how many queries are processed together."""
    if target * width <= source:  # each alone, of its window alone
        return 1, 1
    pieces = max(1, round((width - 1) / TILE))
    tile = max(TILE // 2, math.ceil((width - 1) / pieces))
    return tile, max(1, min(MOST, math.ceil(target * tile / max(1, source))))


def _see(
    windows: Windows, plan: _Plan, mask: Bool[Tensor, "#batch 1 1 source"] | None, source: int
) -> tuple[
    Bool[Tensor, "#batch #heads chunks queries slab"],
    Float[Tensor, "#batch #heads chunks queries slab"] | None,
]:
    """Return which positions of its slab each query may see, and how much they count."""
    positions = plan.positions()
    centre = windows.centre.expand(*plan.gathered.shape[:2], -1)
    opened = windows._replace(centre=_take(centre.unsqueeze(-1), plan.gathered).squeeze(-1))
    inside = positions < source
    if mask is not None:
        some = positions.clamp(max=max(0, source - 1))
        shapes = (*mask.shape[:1], 1), positions.shape[:2]
        shape: torch.Size = cast(Any, torch).broadcast_shapes(*shapes)
        flat = mask[:, :, 0].expand(*shape, -1)
        inside = inside & _take(flat.unsqueeze(-1), some).squeeze(-1)
    seen = opened.mask(positions) & inside.unsqueeze(-2)
    return seen, None if windows.sigma is None else opened.prior(positions)


def _slabs(
    keys: Float[Tensor, "batch heads source size"], plan: _Plan
) -> Float[Tensor, "batch heads chunks slab size"]:
    """Gather the slabs, whole tiles at a time; beyond the end stands anything finite."""
    tiles = max(1, math.ceil(keys.shape[2] / plan.tile))
    missing = tiles * plan.tile - keys.shape[2]
    if missing:  # padding by nothing would copy
        keys = F.pad(keys, (0, 0, 0, missing))
    cut = cast(Tensor, keys.unflatten(2, (tiles, plan.tile))).flatten(3)
    slabs = _take(cut, plan.tiles.clamp(max=tiles - 1))
    return cast(Tensor, slabs.unflatten(4, (plan.tile, keys.shape[3]))).flatten(3, 4)


def _scores(
    parts: Components,
    gathered: Float[Tensor, "batch heads chunks queries size"],
    slabs: Float[Tensor, "batch heads chunks slab size"],
) -> Float[Tensor, "batch heads chunks queries slab"]:
    scale = parts.score.dot_scale
    if scale is not None:
        return (gathered * scale) @ slabs.transpose(-1, -2)
    assert isinstance(parts.score, Additive)  # refused when built
    shape = gathered.shape[0], gathered.shape[2]
    gathered, slabs = (tensor.transpose(1, 2).flatten(0, 1) for tensor in (gathered, slabs))
    scores = blocked_scores(gathered, slabs, parts.score.weight)
    return cast(Tensor, scores.unflatten(0, shape)).transpose(1, 2)


def _put_back(
    alignment: Float[Tensor, "batch heads queries slab"], plan: _Plan, source: int
) -> Float[Tensor, "batch heads target source"]:
    """Put the shares of each query's slab into the positions where its keys stand."""
    queries = plan.gathered.shape[3]
    if not queries or not plan.slot.shape[2]:
        return alignment.new_zeros(*alignment.shape[:2], plan.slot.shape[2], source)
    shares = _take(alignment, plan.slot)
    positions = _take(plan.positions().repeat_interleave(queries, 2), plan.slot).expand_as(shares)
    end = max(source, int(positions.max()) + 1)
    return shares.new_zeros(*shares.shape[:3], end).scatter(3, positions, shares)[..., :source]


def _take(
    tensor: Shaped[Tensor, "batch heads length size"], index: Int[Tensor, "#batch #heads *some"]
) -> Shaped[Tensor, "batch heads *some size"]:
    """Return the vectors with the given numbers, in each row of sentence and head."""
    batch, heads, length, size = tensor.shape
    index = index.expand(batch, heads, *index.shape[2:])
    row = torch.arange(batch * heads, device=tensor.device) * length
    flat = (row.view(batch, heads, 1) + index.flatten(2)).flatten()
    return tensor.flatten(0, 2).index_select(0, flat).view(*index.shape, size)
