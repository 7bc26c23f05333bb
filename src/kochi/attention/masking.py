"""What a call may see: its masks, the scope and the relative term brought together."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.components import Components
from kochi.attention.history import Past
from kochi.attention.kernels.base import Answer, AttentionMask
from kochi.attention.positions import Positions
from kochi.attention.projected_memory import Projected
from kochi.attention.scopes.base import PredictedScope, RecurrentScope, Scope


def see(
    scope: Scope, positions: Positions, projected: Projected, mask: Tensor | None
) -> AttentionMask:
    """Join the masks of memory, call and scope to one, ``[batch or 1, 1, target or 1, source]``.

    A triangle, a band or windows are not made a mask: a kernel may do without one.
    """
    whole = None if projected.mask is None else projected.mask.unsqueeze(1)
    own = whole
    if mask is not None and mask is not projected.mask:
        check_mask(mask, projected, positions)
        mask = mask.unsqueeze(1) if mask.dim() == 2 else mask
        whole = mask if whole is None else whole & mask
    triangle, band = scope.is_triangle(positions), scope.band(positions)
    windows = None if triangle or band is not None else scope.windows(positions)
    left = triangle or band is not None or windows is not None
    if not left:
        seen = scope(positions)
        if seen is not None:
            seen = seen if seen.dim() == 3 else seen.unsqueeze(0)
            whole = seen if whole is None else whole & seen
    if whole is own and not left:
        return projected.visible
    if whole is None and triangle:
        return TRIANGLE
    return AttentionMask(None if whole is None else whole.unsqueeze(1), triangle, band, windows)


def see_with_query(
    parts: Components,
    raw_query: Float[Tensor, "batch heads target raw_size"],
    query: Float[Tensor, "batch heads target size"],
    positions: Positions,
    projected: Projected,
    mask: Tensor | None,
    past: Past | None,
) -> AttentionMask:
    """Do as `see` for all kinds of scope and with the relative term.

    Args:
        parts: The parts of the attention.
        raw_query: The queries inside the heads.
        query: The queries as the score projected them.
        positions: Where queries and keys stand.
        projected: The memory.
        mask: The mask of the call.
        past: Where earlier queries looked.
    """
    scope = parts.scope
    plain = scope if isinstance(scope, Scope) else scope.within or EVERYWHERE
    visible = see(plain, positions, projected, mask)
    bias, prior, whole, windows = None, None, visible.mask, visible.windows
    if isinstance(scope, PredictedScope):
        lengths = _lengths(projected, mask)
        found = scope.windows(raw_query, positions, lengths) if scope.within is None else None
        if found is not None:
            windows = found
        else:
            window = scope(raw_query, positions, lengths)
            whole = window.visible if whole is None else whole & window.visible
            prior = window.prior
    elif isinstance(scope, RecurrentScope) and past is not None:
        bias = scope(past)
    if parts.relative is not None:
        term = parts.relative(query, positions)
        bias = term if bias is None else bias + term
    if bias is None and prior is None and windows is visible.windows:
        return visible
    return AttentionMask(whole, visible.triangle, visible.band, windows, bias, prior)


def check_mask(mask: Tensor, projected: Projected, positions: Positions) -> None:
    """Refuse a mask of the wrong type or shape."""
    flat = (projected.keys.shape[0], positions.key_length)
    full = (flat[0], positions.query_length, positions.key_length)
    if not is_mask(mask) or tuple(mask.shape) not in (flat, full):
        raise ValueError(
            f"mask: got {describe(mask)}, expected torch.bool "
            f"[batch, source] = {list(flat)} or [batch, target, source] = {list(full)}, "
            "True = may attend"
        )


def is_mask(mask: object) -> bool:
    """Tell whether this is a tensor of true and false."""
    return isinstance(mask, Tensor) and mask.dtype == torch.bool


def describe(mask: object) -> str:
    """Say what came where a mask was expected."""
    if not isinstance(mask, Tensor):
        return f"a {type(mask).__name__}"
    return f"{mask.dtype} of shape {list(mask.shape)}"


def propagate_nan(
    answer: Answer, visible: AttentionMask, finite: Bool[Tensor, "batch source"], target_length: int
) -> Answer:
    """Give NaN to the queries that may see a NaN or infinite place, and to nobody else."""
    mask = visible.whole(target_length, finite.shape[1], finite.device)
    reader = _broken(mask, finite).any(-1, keepdim=True)
    context = answer.context.masked_fill(reader, torch.nan)
    if answer.alignment is None:
        return answer._replace(context=context)
    alignment = spoil_alignment(answer.alignment, mask, finite)
    return answer._replace(context=context, alignment=alignment)


def spoil_alignment(
    alignment: Float[Tensor, "batch heads target source"],
    mask: Bool[Tensor, "#batch #heads #target source"] | None,
    finite: Bool[Tensor, "batch source"],
) -> Float[Tensor, "batch heads target source"]:
    """Put NaN in all that a query sees that may see a NaN or infinite place."""
    reader = _broken(mask, finite).any(-1, keepdim=True)
    return alignment.masked_fill(reader if mask is None else reader & mask, torch.nan)


def _broken(mask: Tensor | None, finite: Tensor) -> Tensor:
    broken = ~finite[:, None, None, :]
    return broken if mask is None else broken & mask


class _Everywhere(Scope):
    def forward(self, positions: Positions) -> None:
        return None


EVERYWHERE = _Everywhere()
TRIANGLE = AttentionMask(triangle=True)


def _lengths(projected: Projected, mask: Tensor | None) -> Tensor:
    """Return how long each sentence is: the places that its masks leave, else all."""
    own = projected.mask
    if mask is not None and mask.dim() == 2:
        own = mask if own is None else own & mask
    if own is not None:
        return own.sum(1)
    batch, _, length, _ = projected.keys.shape
    return torch.full((batch,), length, device=projected.keys.device)
