"""The formula in plain PyTorch: it defines what is right."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kochi.attention.kernels.base import Answer, Visible
from kochi.attention.scores.base import Score
from kochi.attention.selections.base import Selection


def reference_alignment(
    score: Score,
    selection: Selection,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    visible: Visible,
) -> Float[Tensor, "batch heads target source"]:
    """Compute ``select(scope(score(query, key)))``."""
    mask = visible.whole(query.shape[2], keys.shape[2], query.device)
    return selection(score(query, keys), mask)


def reference(
    score: Score,
    selection: Selection,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    values: Float[Tensor, "batch heads source value_size"],
    visible: Visible,
    dropout: float,
    need_alignment: bool,
) -> Answer:
    """Compute ``alignment @ values``, with dropout on the alignment.

    Serves every score, scope and selection, on every device and in every dtype.
    """
    alignment = reference_alignment(score, selection, query, keys, visible)
    weights = F.dropout(alignment, dropout) if dropout else alignment
    return Answer(weights @ values, alignment if need_alignment else None)
