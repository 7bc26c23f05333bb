"""The formula in plain PyTorch: it defines what is right."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kochi.attention.components import Components, name
from kochi.attention.history import Past
from kochi.attention.kernels.base import AttentionMask, KernelOutput
from kochi.attention.scores.base import RecurrentScore, Score
from kochi.attention.selections.base import Choice, RecurrentSelection, Selection, Walk
from kochi.components import ComponentError


def reference_scores(
    parts: Components,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source key_size"],
    past: Past | None,
) -> Float[Tensor, "batch heads target source"]:
    """Compute ``score(query, key)``.

    Raises:
        ComponentError: A score of another package returns another shape, which might broadcast.
    """
    if isinstance(parts.score, RecurrentScore):
        scores = parts.score(query, keys, past)
    else:
        assert isinstance(parts.score, Score)
        scores = parts.score(query, keys)
    if scores.shape != (*query.shape[:3], keys.shape[2]):
        raise ComponentError(
            f"score {name(parts.score)}: returned the shape {list(scores.shape)}, expected [batch, "
            f"heads, target, source] = {[*query.shape[:3], keys.shape[2]]}"
        )
    return scores


def reference_choice(
    parts: Components,
    scores: Float[Tensor, "batch heads target source"],
    visible: AttentionMask,
    past: Past | None,
) -> tuple[Float[Tensor, "batch heads target source"], Choice | Walk | None]:
    """Compute the alignment ``select(scope(score)) * prior``, and what came with it."""
    mask = visible.whole(scores.shape[2], scores.shape[3], scores.device)
    if visible.bias is not None:
        scores = scores + visible.bias
    choice = None
    if isinstance(parts.selection, Selection):
        alignment = parts.selection(scores, mask)
    elif isinstance(parts.selection, RecurrentSelection):
        found = parts.selection(scores, mask, past)
        walk = found if isinstance(found, Walk) else Walk(found, found)
        alignment = visible.weigh(walk.alignment)
        # What a prior takes from the alignment is still where the walk stands.
        same = alignment is found
        return alignment, None if same else Walk(alignment, walk.standing)
    else:
        choice = parts.selection(scores, mask)
        alignment = choice.alignment
    return visible.weigh(alignment), choice


def reference_reading(
    parts: Components,
    scores: Float[Tensor, "batch heads target source"],
    values: Float[Tensor, "batch heads source value_size"],
    visible: AttentionMask,
    past: Past | None,
    dropout: float,
    need_alignment: bool,
) -> KernelOutput:
    """Compute ``alignment @ values`` from scores, with dropout on the alignment."""
    alignment, choice = reference_choice(parts, scores, visible, past)
    weights = F.dropout(alignment, dropout) if dropout else alignment
    return KernelOutput(weights @ values, alignment if need_alignment else None, choice)


def reference(
    parts: Components,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source key_size"],
    values: Float[Tensor, "batch heads source value_size"],
    visible: AttentionMask,
    past: Past | None,
    dropout: float,
    need_alignment: bool,
) -> KernelOutput:
    """Compute the scores as they are defined, then `reference_reading`.

    Serves every score, scope and selection, on every device and in every dtype.
    """
    scores = reference_scores(parts, query, keys, past)
    return reference_reading(parts, scores, values, visible, past, dropout, need_alignment)
