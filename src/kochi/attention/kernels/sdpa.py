"""Dot-product scores with soft selection through PyTorch's fused kernels."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kochi.attention.kernels.base import Answer, Visible
from kochi.attention.kernels.reference import reference_alignment
from kochi.attention.scores.base import Score
from kochi.attention.selections.base import Selection
from kochi.attention.selections.soft import Soft


def sdpa_refusal(score: Score, selection: Selection) -> str | None:
    """Say why SDPA cannot serve these parts; ``None`` if it can."""
    if score.dot_scale is None:
        return f"the score {type(score).__name__} is not a dot product of projected vectors"
    if type(selection) is not Soft:
        return f"the selection {type(selection).__name__} is not the softmax"
    return None


def sdpa(
    score: Score,
    selection: Selection,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    values: Float[Tensor, "batch heads source value_size"],
    visible: Visible,
    dropout: float,
    need_alignment: bool,
) -> Answer:
    """Call ``F.scaled_dot_product_attention``; the alignment, if asked, is one pass more.

    Keys and values in hidden places must be finite: SDPA multiplies them by zero.
    """
    mask, triangle = visible.mask, visible.triangle
    if triangle and mask is not None:  # SDPA takes one or the other
        mask, triangle = visible.whole(query.shape[2], keys.shape[2], query.device), False
    context = F.scaled_dot_product_attention(
        query, keys, values, mask, dropout, is_causal=triangle, scale=score.dot_scale
    )
    if not need_alignment:
        return Answer(context, None)
    return Answer(context, reference_alignment(score, selection, query, keys, visible))
