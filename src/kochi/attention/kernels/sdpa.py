"""Dot-product scores with soft selection through PyTorch's fused kernels."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kochi.attention.components import Components, name
from kochi.attention.history import Past
from kochi.attention.kernels.base import AttentionMask, KernelOutput
from kochi.attention.kernels.reference import reference_choice, reference_scores
from kochi.attention.scopes.base import Scope
from kochi.attention.selections.soft import Soft


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
    mask, triangle = visible.mask, visible.triangle
    both = triangle and mask is not None  # SDPA takes one or the other
    if both or visible.band is not None or visible.windows is not None:
        mask, triangle = visible.whole(query.shape[2], keys.shape[2], query.device), False
    if visible.bias is not None:
        mask = visible.whole(query.shape[2], keys.shape[2], query.device)
        bias, triangle = visible.bias.to(query.dtype), False
        mask = bias if mask is None else torch.where(mask, bias, -torch.inf)
    context = F.scaled_dot_product_attention(
        query, keys, values, mask, dropout, is_causal=triangle, scale=parts.score.dot_scale
    )
    if not need_alignment:
        return KernelOutput(context, None)
    scores = reference_scores(parts, query, keys, past)
    return KernelOutput(context, reference_choice(parts, scores, visible, past)[0])
