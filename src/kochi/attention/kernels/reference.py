"""The formula in plain PyTorch: it defines what is right."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kochi.attention.kernels.base import Answer, Visible
from kochi.attention.parts import Parts
from kochi.attention.past import Past
from kochi.attention.scores.base import RecurrentScore, Score
from kochi.attention.selections.base import Choice, RecurrentSelection, Selection, Walk


def reference_scores(
    parts: Parts,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    visible: Visible,
    past: Past | None,
) -> Float[Tensor, "batch heads target source"]:
    """Compute ``score(query, key) + bias``."""
    if isinstance(parts.score, RecurrentScore):
        scores = parts.score(query, keys, past)
    else:
        assert isinstance(parts.score, Score)
        scores = parts.score(query, keys)
    return scores if visible.bias is None else scores + visible.bias


def reference_choice(
    parts: Parts,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    visible: Visible,
    past: Past | None,
) -> tuple[Float[Tensor, "batch heads target source"], Choice | Walk | None]:
    """Compute the alignment ``select(scope(score(query, key))) * prior``, and what came with it."""
    mask = visible.whole(query.shape[2], keys.shape[2], query.device)
    scores = reference_scores(parts, query, keys, visible, past)
    choice = None
    if isinstance(parts.selection, Selection):
        alignment = parts.selection(scores, mask)
    elif isinstance(parts.selection, RecurrentSelection):
        found = parts.selection(scores, mask, past)
        choice = found if isinstance(found, Walk) else None
        alignment = found.alignment if isinstance(found, Walk) else found
    else:
        choice = parts.selection(scores, mask)
        alignment = choice.alignment
    return alignment if visible.prior is None else alignment * visible.prior, choice


def reference(
    parts: Parts,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    values: Float[Tensor, "batch heads source value_size"],
    visible: Visible,
    past: Past | None,
    dropout: float,
    need_alignment: bool,
) -> Answer:
    """Compute ``alignment @ values``, with dropout on the alignment.

    Serves every score, scope and selection, on every device and in every dtype.
    """
    alignment, choice = reference_choice(parts, query, keys, visible, past)
    weights = F.dropout(alignment, dropout) if dropout else alignment
    return Answer(weights @ values, alignment if need_alignment else None, choice)
