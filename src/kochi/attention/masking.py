"""Combine the masks of a call with the scope and the relative term."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.components import Components
from kochi.attention.history import Past
from kochi.attention.hooks import call_prepared
from kochi.attention.kernels.base import AttentionMask, KernelOutput
from kochi.attention.positions import Positions
from kochi.attention.projected_memory import ProjectedMemory
from kochi.attention.scopes.base import PredictedScope, RecurrentScope, Scope
from kochi.attention.selections.base import RecurrentSelection
from kochi.transforms import is_readable


def see(
    scope: Scope, positions: Positions, projected: ProjectedMemory, mask: Tensor | None
) -> AttentionMask:
    """Combine the masks of memory, call and scope: ``[batch or 1, 1, target or 1, source]``.

    A triangle, a band or windows are not expanded to a mask, since some kernels need none.
    """
    own = None if projected.mask is None else projected.mask[:, None, None]
    whole: Tensor | None = own
    if mask is not None and mask is not projected.mask:
        check_mask(mask, projected, positions)
        mask = for_heads(mask)
        whole = mask if whole is None else whole & mask
    triangle, band = scope.is_triangle(positions), scope.band(positions)
    windows = None if triangle or band is not None else call_prepared(scope.windows, positions)
    left = triangle or band is not None or windows is not None
    if not left:
        allowed = scope(positions)
        if allowed is not None:
            allowed = allowed.unsqueeze(1) if allowed.dim() == 3 else allowed[None, None]
            whole = allowed if whole is None else whole & allowed
    if whole is own and not left:
        return projected.visible
    if whole is None and triangle:
        return TRIANGLE
    return AttentionMask(whole, triangle, band, windows)


def see_with_query(
    parts: Components,
    raw_query: Float[Tensor, "batch heads target raw_size"],
    query: Float[Tensor, "batch heads target size"],
    positions: Positions,
    projected: ProjectedMemory,
    mask: Tensor | None,
    past: Past | None,
) -> AttentionMask:
    """Like `see`, for all kinds of scope and with the relative term.

    Args:
        parts: The components of the attention.
        raw_query: The queries inside the heads.
        query: The queries as projected by the score.
        positions: Positions of queries and keys.
        projected: The memory.
        mask: The mask of the call.
        past: Alignments of earlier queries.
    """
    scope = parts.scope
    plain = scope if isinstance(scope, Scope) else scope.within or EVERYWHERE
    visible = see(plain, positions, projected, mask)
    bias, prior, whole, windows = None, None, visible.mask, visible.windows
    if isinstance(scope, PredictedScope):
        lengths = _lengths(projected, mask)
        predicted, walks = None, isinstance(parts.selection, RecurrentSelection)
        if scope.within is None and not walks:
            predicted = call_prepared(scope.windows, raw_query, positions, lengths)
        if predicted is not None:
            windows = predicted
        else:
            window = scope(raw_query, positions, lengths)
            prior = window.prior
            if walks:  # a window that hid where the walk stands would end it
                prior = prior * window.visible
            else:
                whole = window.visible if whole is None else whole & window.visible
    elif isinstance(scope, RecurrentScope) and past is not None:
        bias = scope(past)
    if parts.relative is not None:
        term = parts.relative(query, positions)
        bias = term if bias is None else bias + term
    if bias is None and prior is None and windows is visible.windows:
        return visible
    return AttentionMask(whole, visible.triangle, visible.band, windows, bias, prior)


def for_heads(mask: Tensor) -> Bool[Tensor, "batch #heads #target source"]:
    """Return a mask of a call with all four axes."""
    if mask.dim() == 2:
        return mask[:, None, None]
    return mask.unsqueeze(1) if mask.dim() == 3 else mask


def add_bias(
    visible: AttentionMask,
    bias: Float[Tensor, "#batch #heads #target source"],
) -> AttentionMask:
    """Add a bias of the scores to what a call may see; minus infinity hides."""
    hides = bias == -torch.inf
    mask = visible.mask
    if bias.device.type != "cpu" or not is_readable(bias) or hides.any():
        mask = ~hides if mask is None else mask & ~hides
        bias = bias.masked_fill(hides, 0.0)
    bias = bias if visible.bias is None else visible.bias + bias
    return replace(visible, mask=mask, bias=bias, _hidden={})


def check_bias(bias: object, projected: ProjectedMemory, target_length: int) -> None:
    """Refuse a bias of the wrong type or shape."""
    batch, heads, source = projected.keys.shape[:3]
    full = (batch, heads, target_length, source)
    if isinstance(bias, Tensor) and bias.dtype.is_floating_point and _fits(bias, full):
        return
    raise ValueError(
        f"bias: got {describe(bias)}, expected real numbers [batch, heads, target, source] = "
        f"{list(full)}, where 1 may stand for any of them"
    )


def _fits(tensor: Tensor, shape: tuple[int, ...]) -> bool:
    """Return whether a tensor has these four axes, or 1 in place of some."""
    if tensor.dim() != len(shape):
        return False
    return all(own in (1, size) for own, size in zip(tensor.shape, shape, strict=True))


def check_mask(mask: Tensor, projected: ProjectedMemory, positions: Positions) -> None:
    """Refuse a mask of the wrong type or shape."""
    batch, heads = projected.keys.shape[:2]
    flat, full = (batch, positions.key_length), (positions.query_length, positions.key_length)
    allowed = (flat, (batch, *full), (batch, heads, *full))
    if not is_mask(mask) or not (tuple(mask.shape) in allowed or _fits(mask, allowed[2])):
        by_head = f" or [batch, heads, target, source] = {list(allowed[2])}" if heads > 1 else ""
        raise ValueError(
            f"mask: got {describe(mask)}, expected torch.bool "
            f"[batch, source] = {list(flat)} or [batch, target, source] = {list(allowed[1])}"
            f"{by_head}, True = may attend"
        )


def is_mask(mask: object) -> bool:
    """Return whether this is a boolean tensor."""
    return isinstance(mask, Tensor) and mask.dtype == torch.bool


def describe(mask: object) -> str:
    """Describe a value that was passed as a mask, for messages."""
    if not isinstance(mask, Tensor):
        return f"a {type(mask).__name__}"
    return f"{mask.dtype} of shape {list(mask.shape)}"


def propagate_nan(
    output: KernelOutput,
    visible: AttentionMask,
    finite: Bool[Tensor, "batch source"],
    target_length: int,
) -> KernelOutput:
    """Return NaN for the queries that may attend to a non-finite position, and for no others."""
    mask = visible.whole(target_length, finite.shape[1], finite.device)
    affected = _broken(mask, finite).any(-1, keepdim=True)
    context = output.context.masked_fill(affected, torch.nan)
    if output.alignment is None:
        return output._replace(context=context)
    alignment = spoil_alignment(output.alignment, mask, finite)
    return output._replace(context=context, alignment=alignment)


def spoil_alignment(
    alignment: Float[Tensor, "batch heads target source"],
    mask: Bool[Tensor, "#batch #heads #target source"] | None,
    finite: Bool[Tensor, "batch source"],
) -> Float[Tensor, "batch heads target source"]:
    """Set the visible alignment to NaN for queries that may attend to a non-finite position."""
    affected = _broken(mask, finite).any(-1, keepdim=True)
    return alignment.masked_fill(affected if mask is None else affected & mask, torch.nan)


def _broken(mask: Tensor | None, finite: Tensor) -> Tensor:
    broken = ~finite[:, None, None, :]
    return broken if mask is None else broken & mask


class _Everywhere(Scope):
    def forward(self, positions: Positions) -> None:
        return None


EVERYWHERE = _Everywhere()
TRIANGLE = AttentionMask(triangle=True)


def _lengths(projected: ProjectedMemory, mask: Tensor | None) -> Tensor:
    """Return the length of each memory: the number of unmasked positions."""
    own = projected.mask
    if mask is not None and mask.dim() == 2:
        own = mask if own is None else own & mask
    if own is not None:
        return own.sum(1)
    batch, _, length, _ = projected.keys.shape
    return torch.full((batch,), length, device=projected.keys.device)
