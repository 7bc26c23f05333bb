"""The additive score a block at a time: its hidden layer is never held whole."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from kochi.attention.kernels.base import Answer, Visible
from kochi.attention.kernels.reference import reference_reading
from kochi.attention.parts import Parts, name
from kochi.attention.past import Past
from kochi.attention.scores.additive import Additive

BLOCK = {"cpu": 2**19}
BLOCK_ELSEWHERE = 2**24
"""Numbers of the hidden layer that are computed at a time. On the CPU two megabytes in float32,
which stay in the caches of two cores: forward and backward took 745 ms, with half a megabyte 1,000
ms, whole 2,260 ms (batch 8, 128 queries, 512 keys, hidden size 256, torch 2.13). Other devices want
few large calls."""

Block = tuple[slice, slice, slice]


def blocked_refusal(parts: Parts) -> str | None:
    """Say why the blocked kernel cannot serve these parts; ``None`` if it can."""
    if type(parts.score) is not Additive:
        return f"the score {name(parts.score)} is not the additive one"
    return None


def blocked(
    parts: Parts,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    values: Float[Tensor, "batch heads source value_size"],
    visible: Visible,
    past: Past | None,
    dropout: float,
    need_alignment: bool,
) -> Answer:
    """Compute the scores by `blocked_scores` and the rest as the reference does.

    Serves every scope and selection with the additive score.
    """
    assert isinstance(parts.score, Additive)  # refused when built
    scores = blocked_scores(query, keys, parts.score.weight)
    return reference_reading(parts, scores, values, visible, past, dropout, need_alignment)


def blocked_scores(
    query: Float[Tensor, "batch heads target hidden_size"],
    keys: Float[Tensor, "batch heads source hidden_size"],
    vector: Float[Tensor, "weight_heads hidden_size"],
) -> Float[Tensor, "batch heads target source"]:
    """Compute `kochi.attention.scores.additive.additive_score` in little memory.

    Neither pass holds ``tanh(query[t] + key[s])`` for all queries and keys: the backward pass
    computes it anew. A score with one more term a place inside the tanh, as the location-aware one,
    adds it to the keys of each query and asks query by query.

    >>> query = torch.tensor([[[[1.0, 5.0]]]])
    >>> keys = torch.tensor([[[[-1.0, -5.0], [99.0, -5.0]]]])
    >>> blocked_scores(query, keys, torch.tensor([[2.0, 3.0]])).tolist()
    [[[[0.0, 2.0]]]]
    """
    dtype = _score_dtype(query, keys, vector)
    wide = torch.promote_types(dtype, torch.float32)
    query, keys, vector = query.to(wide), keys.to(wide), vector.to(wide)
    if vector.shape[0] == 1:
        scores = _scores(query.flatten(0, 1), keys.flatten(0, 1), vector[0])
        return scores.unflatten(0, query.shape[:2]).to(dtype)
    heads = zip(query.unbind(1), keys.unbind(1), vector, strict=True)
    return torch.stack([_scores(*head) for head in heads], dim=1).to(dtype)


def _score_dtype(query: Tensor, keys: Tensor, vector: Tensor) -> torch.dtype:
    """Return the dtype of the reference, whose product with the vector autocast would round."""
    device = query.device.type
    if torch.is_autocast_enabled(device) and query.dtype != torch.float64:
        return torch.get_autocast_dtype(device)
    return torch.promote_types(torch.promote_types(query.dtype, keys.dtype), vector.dtype)


def _scores(
    query: Float[Tensor, "rows target size"],
    keys: Float[Tensor, "rows source size"],
    vector: Float[Tensor, " size"],
) -> Float[Tensor, "rows target source"]:
    scores = _Scores.apply(query, keys, vector)
    assert isinstance(scores, Tensor)
    return scores


class _Scores(torch.autograd.Function):
    """The scores with the backward pass written out."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx, query: Tensor, keys: Tensor, vector: Tensor
    ) -> Tensor:
        ctx.save_for_backward(query, keys, vector)
        scores = query.new_empty(*query.shape[:2], keys.shape[1])
        with torch.autocast(query.device.type, enabled=False):
            for block, hidden in _hidden(query, keys):
                scores[block] = hidden @ vector
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        """With ``h = tanh(q + k)``, the gradient of q + k is ``grad v (1 - h^2)``."""
        query, keys, vector = ctx.saved_tensors
        query_grad, keys_grad = torch.zeros_like(query), torch.zeros_like(keys)
        vector_grad = torch.zeros_like(vector)
        with torch.autocast(query.device.type, enabled=False):
            for block, hidden in _hidden(query, keys):
                rows, queries, places = block
                slope = grad[block]
                vector_grad += slope.flatten() @ hidden.flatten(0, 2)
                bent = hidden.mul_(hidden).mul_(slope.unsqueeze(-1))
                query_grad[rows, queries] -= bent.sum(2)
                keys_grad[rows, places] -= bent.sum(1)
        query_grad.add_(grad.sum(2).unsqueeze(-1)).mul_(vector)
        keys_grad.add_(grad.sum(1).unsqueeze(-1)).mul_(vector)
        return query_grad, keys_grad, vector_grad


def _hidden(
    query: Float[Tensor, "rows target size"], keys: Float[Tensor, "rows source size"]
) -> Iterator[tuple[Block, Float[Tensor, "some_rows some_target some_source size"]]]:
    """Compute the hidden layer block by block, each in the place of the one before."""
    blocks = list(_blocks(query, keys))
    if not blocks:
        return
    rows, queries, places = blocks[0]
    size = query.shape[2]
    store = query.new_empty(rows.stop * queries.stop * places.stop * size)
    for rows, queries, places in blocks:
        some, keyed = query[rows, queries].unsqueeze(2), keys[rows, places].unsqueeze(1)
        shape = torch.broadcast_shapes(some.shape, keyed.shape)
        hidden = store[: shape.numel()].view(shape)
        torch.add(some, keyed, out=hidden).tanh_()
        yield (rows, queries, places), hidden


def _blocks(query: Tensor, keys: Tensor) -> Iterator[Block]:
    """Cut all pairs of query and key into blocks of about equal size; the first is the largest."""
    rows, target, size = query.shape
    left = max(1, BLOCK.get(query.device.type, BLOCK_ELSEWHERE) // max(1, size))
    places = max(1, min(keys.shape[1], left))
    queries = max(1, min(target, left // places))
    together = max(1, min(rows, left // (places * queries)))
    for row in range(0, rows, together):
        for first in range(0, target, queries):
            for place in range(0, keys.shape[1], places):
                yield (
                    slice(row, min(rows, row + together)),
                    slice(first, min(target, first + queries)),
                    slice(place, min(keys.shape[1], place + places)),
                )
