"""Dot-product scores with soft selection through PyTorch's FlexAttention, compiled.

Blocks of positions that no query of a block may attend to are skipped, with masks and relative
terms as well; SDPA computes them and masks them.
"""

import functools
from collections.abc import Callable
from typing import cast, no_type_check

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from kochi.attention.components import Components
from kochi.attention.history import Past
from kochi.attention.kernels.base import AttentionMask, KernelOutput
from kochi.attention.kernels.reference import reference_choice, reference_scores

BLOCK = 128
"""Queries, and keys, of a block that is skipped or computed: what FlexAttention takes itself."""
NARROWEST = 16
"""Vectors shorter than this are filled up with zeros: FlexAttention does not compile for them."""


@functools.cache
def compiled() -> Callable[..., Tensor]:
    """Compile FlexAttention, once for all callers; torch compiles anew for new kinds of calls."""
    return torch.compile(flex_attention)  # pyright: ignore[reportUnknownMemberType]


def flex(
    parts: Components,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    values: Float[Tensor, "batch heads source value_size"],
    visible: AttentionMask,
    past: Past | None,
    dropout: float,
    need_alignment: bool,
) -> KernelOutput:
    """Call ``flex_attention``; the alignment, if needed, is one pass more, and as large as it is.

    Dong et al. 2024; https://arxiv.org/abs/2412.05496. Serves what SDPA serves, but no dropout, and
    on the CPU no gradient. Keys and values in hidden positions must be finite.
    """
    visible = visible.spelled_out(keys.shape[2], keys.device)
    context = _read(query, keys, values, visible, parts.score.dot_scale)
    if not need_alignment:
        return KernelOutput(context, None)
    scores = reference_scores(parts, query, keys, past)
    return KernelOutput(context, reference_choice(parts, scores, visible, past)[0])


def _read(
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    values: Float[Tensor, "batch heads source value_size"],
    visible: AttentionMask,
    scale: float | None,
) -> Float[Tensor, "batch heads target value_size"]:
    device, value_size = query.device.type, values.shape[3]
    tensors = query, keys, values
    if torch.is_autocast_enabled(device) and query.dtype != torch.float64:
        tensors = tuple(tensor.to(torch.get_autocast_dtype(device)) for tensor in tensors)
    query, keys, values = tensors
    if not (query.numel() and keys.numel()):
        return query @ keys.transpose(2, 3) @ values
    if not torch.is_grad_enabled():  # on the CPU it refuses what only might need a gradient
        query, keys, values = query.detach(), keys.detach(), values.detach()
    query, keys, values = (_widen(tensor) for tensor in (query, keys, values))
    bias = visible.bias
    see, blocks = None, None
    if visible.mask is not None or visible.triangle or visible.band is not None:
        see = _see(visible, query, keys)
        blocks = block_mask(visible, query.shape[2], keys.shape[2], query.device, see)
    add = None if bias is None else _add(bias)
    context = compiled()(query, keys, values, add, blocks, scale)
    return context[..., :value_size]


def _widen(tensor: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch wide_size"]:
    missing = NARROWEST - tensor.shape[-1]
    return F.pad(tensor, (0, missing)) if missing > 0 else tensor


def _reach(visible: AttentionMask, query: Tensor, keys: Tensor) -> tuple[int, int]:
    """Return how many positions before and after a query are seen; far beyond all, if all are."""
    left = right = query.shape[2] + keys.shape[2]
    if visible.band is not None:
        left, right = (min(reach, left) for reach in visible.band)
    return left, min(right, 0) if visible.triangle else right


def _see(visible: AttentionMask, query: Tensor, keys: Tensor) -> Callable[..., Tensor]:
    """Return the rule that says whether one query sees one key."""
    left, right = _reach(visible, query, keys)
    mask = visible.mask

    @no_type_check  # torch traces it
    def see(batch: Tensor, head: Tensor, here: Tensor, there: Tensor) -> Tensor:
        inside = (here - there <= left) & (there - here <= right)
        return inside if mask is None else inside & _at(mask, batch, head, here, there)

    return cast("Callable[..., Tensor]", see)


def _add(bias: Float[Tensor, "#batch #heads #target source"]) -> Callable[..., Tensor]:
    """Return the rule that adds the bias to one score."""

    @no_type_check  # torch traces it
    def add(score: Tensor, batch: Tensor, head: Tensor, here: Tensor, there: Tensor) -> Tensor:
        return score + _at(bias, batch, head, here, there)

    return cast("Callable[..., Tensor]", add)


@no_type_check  # torch traces it
def _at(table: Tensor, batch: Tensor, head: Tensor, here: Tensor, there: Tensor) -> Tensor:
    """Return one number of a table that may be shared along any of its axes."""
    position = (batch, head, here, there)
    return table[
        tuple(0 if size == 1 else at for size, at in zip(table.shape, position, strict=True))
    ]


def block_mask(
    visible: AttentionMask,
    target_length: int,
    source_length: int,
    device: torch.device,
    see: Callable[..., Tensor],
) -> BlockMask:
    """Tell FlexAttention which blocks to skip, which to compute, and where it need not look.

    The same as its own ``create_block_mask``, which first makes a mask of all queries and keys:
    here the triangle and the band are looked at block by block.

    Args:
        visible: What may be seen.
        target_length: Number of queries, at least 1.
        source_length: Number of keys, at least 1.
        device: Where queries and keys are.
        see: What says whether one query sees one key.
    """
    here = torch.arange(0, target_length, BLOCK, device=device)[:, None]
    there = torch.arange(0, source_length, BLOCK, device=device)
    here_last = (here + BLOCK).clamp(max=target_length) - 1
    there_last = (there + BLOCK).clamp(max=source_length) - 1
    whole = (here + BLOCK <= target_length) & (there + BLOCK <= source_length)
    some = torch.ones_like(whole)
    if visible.triangle:
        some, whole = some & (there <= here_last), whole & (there_last <= here)
    if visible.band is not None:
        left, right = visible.band
        some &= (there - here_last <= right) & (here - there_last <= left)
        whole &= (there_last - here <= right) & (here_last - there <= left)
    some, whole = some[None, None], whole[None, None]
    if visible.mask is not None:
        any_seen, all_seen = _blocks_of(visible.mask)
        some, whole = some & any_seen, whole & all_seen
    numbers = (*_ordered(some & ~whole), *_ordered(whole))
    return BlockMask.from_kv_blocks(
        *numbers, BLOCK_SIZE=BLOCK, mask_mod=see, seq_lengths=(target_length, source_length)
    )


def _blocks_of(
    mask: Bool[Tensor, "#batch #heads #target source"],
) -> tuple[
    Bool[Tensor, "#batch #heads #target_blocks source_blocks"],
    Bool[Tensor, "#batch #heads #target_blocks source_blocks"],
]:
    """Return where a block has something to see, and where everything.

    A band or triangle may leave nothing of what a mask shows in a block: it is then computed in
    vain, and nothing is read.
    """
    flags: list[Tensor] = []
    for numbers in (mask, ~mask):
        below = -numbers.shape[2] % BLOCK if numbers.shape[2] > 1 else 0
        numbers = F.pad(numbers, (0, -numbers.shape[3] % BLOCK, 0, below))
        rows = BLOCK if numbers.shape[2] > 1 else 1
        cut = cast(Tensor, numbers.unflatten(3, (-1, BLOCK)))
        cut = cast(Tensor, cut.unflatten(2, (-1, rows)))
        flags.append(cut.any(5).any(3))
    return flags[0], ~flags[1]


def _ordered(blocks: Bool[Tensor, "*rows blocks"]) -> tuple[Tensor, Tensor]:
    """Return how many blocks a row has, and their numbers, those first."""
    order = blocks.int().argsort(dim=-1, descending=True, stable=True)
    return blocks.sum(-1, dtype=torch.int32), order.int()
