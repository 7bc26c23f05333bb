"""Additive scores computed in blocks, without holding the whole hidden layer."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor

from kochi.attention.components import Components, name
from kochi.attention.history import Past
from kochi.attention.kernels.base import AttentionMask, KernelOutput
from kochi.attention.kernels.reference import reference_reading
from kochi.attention.kernels.second_order import differentiate
from kochi.attention.scores.additive import Additive, additive_score
from kochi.attention.scores.location_aware import (
    LocationAware,
    location_aware_score,
    location_features,
)
from kochi.transforms import is_readable

BLOCK = {"cpu": 2**20}
BLOCK_ELSEWHERE = 2**24
"""Numbers of the hidden layer that are computed at a time: on the CPU four megabytes in float32,
which stay in the cache; other devices need few large calls."""

FARTHEST = 20.0
"""Numbers up to this have exponentials whose products float32 can hold: ``exp(80)``."""

Block = tuple[slice, slice, slice]
Hidden = Float[Tensor, "some_rows some_target some_source size"]


def blocked_refusal(parts: Components) -> str | None:
    """Return why the blocked kernel cannot compute these components; ``None`` if it can."""
    if type(parts.score) not in (Additive, LocationAware):
        return f"the score {name(parts.score)} is not the additive or the location-aware one"
    return None


def blocked(
    parts: Components,
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    values: Float[Tensor, "batch heads source value_size"],
    visible: AttentionMask,
    past: Past | None,
    dropout: float,
    need_alignment: bool,
) -> KernelOutput:
    """Compute the scores with `blocked_scores` and the rest like the reference kernel.

    Supports every scope and selection with the additive and the location-aware score.
    """
    score = parts.score
    if isinstance(score, Additive):
        scores = blocked_scores(query, keys, score.weight)
    else:
        assert isinstance(score, LocationAware)  # refused when built
        located = ()
        if past is not None and keys.shape[2]:
            located = location_features(past, score.filters), score.filter_weight
        scores = blocked_scores(query, keys, score.vector, *located)
    return reference_reading(parts, scores, values, visible, past, dropout, need_alignment)


def blocked_scores(
    query: Float[Tensor, "batch heads target hidden_size"],
    keys: Float[Tensor, "batch heads source hidden_size"],
    vector: Float[Tensor, "weight_heads hidden_size"],
    features: Float[Tensor, "batch heads target source filters"] | None = None,
    weight: Float[Tensor, "weight_heads hidden_size filters"] | None = None,
) -> Float[Tensor, "batch heads target source"]:
    """Compute `additive_score`, or with features `location_aware_score`, with little memory.

    Neither pass holds the hidden layer ``tanh(query[t] + key[s] + weight features[t, s])`` for all
    queries and keys: the backward pass recomputes it.

    >>> query = torch.tensor([[[[1.0, 5.0]]]])
    >>> keys = torch.tensor([[[[-1.0, -5.0], [99.0, -5.0]]]])
    >>> blocked_scores(query, keys, torch.tensor([[2.0, 3.0]])).tolist()
    [[[[0.0, 2.0]]]]
    """
    dtype = _score_dtype(query, keys, vector)
    if vector.shape[0] == 1:
        flat = None if features is None else features.flatten(0, 1)
        one = None if weight is None else weight[0]
        scores = _scores(query.flatten(0, 1), keys.flatten(0, 1), vector[0], flat, one, dtype)
        return cast(Tensor, scores.unflatten(0, query.shape[:2]))
    heads = range(vector.shape[0])
    return torch.stack(
        [
            _scores(
                query[:, head],
                keys[:, head],
                vector[head],
                None if features is None else features[:, head],
                None if weight is None else weight[head],
                dtype,
            )
            for head in heads
        ],
        dim=1,
    )


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
    features: Float[Tensor, "rows target source filters"] | None,
    weight: Float[Tensor, "size filters"] | None,
    dtype: torch.dtype,
) -> Float[Tensor, "rows target source"]:
    scores = _Scores.apply(query, keys, vector, features, weight, dtype)
    assert isinstance(scores, Tensor)
    return scores


class _Scores(torch.autograd.Function):
    """The scores with the backward pass written out; computed in 32 bits at least."""

    apply: ClassVar[Callable[..., Any]]  # torch gives it no types

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        query: Tensor,
        keys: Tensor,
        vector: Tensor,
        features: Tensor | None,
        weight: Tensor | None,
        dtype: torch.dtype,
    ) -> Tensor:
        # As they come, not widened: the keys of one memory are then kept once for all its queries.
        ctx.save_for_backward(query, keys, vector, features, weight)
        ctx.wide = wide = torch.promote_types(dtype, torch.float32)
        scores = query.new_empty(*query.shape[:2], keys.shape[1], dtype=dtype)
        vector = vector.to(wide)
        with torch.autocast(query.device.type, enabled=False):
            if features is None:
                total = vector.sum()
                for block, sigmoid in _sigmoids(query, keys, wide):
                    scores[block] = (2.0 * (sigmoid @ vector) - total).to(dtype)
                return scores
            for block, hidden in _hidden(query, keys, features, weight, wide):
                scores[block] = (hidden @ vector).to(dtype)
        return scores

    @staticmethod
    def backward(ctx: Any, grad: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        """With ``h = tanh(q + k + U f)``, the gradient of q + k + U f is ``grad v (1 - h^2)``."""
        saved: tuple[Tensor, Tensor, Tensor, Any, Any] = ctx.saved_tensors
        wide: torch.dtype = ctx.wide
        query, keys, vector, features, weight = saved  # the last two may be None
        if torch.is_grad_enabled():
            return *differentiate(_formula, saved, ctx.needs_input_grad, grad), None
        grad = grad.to(wide)
        query_grad = torch.zeros_like(query, dtype=wide)
        keys_grad = torch.zeros_like(keys, dtype=wide)
        vector_grad = torch.zeros_like(vector, dtype=wide)
        features_grad = weight_grad = carrying = None
        if features is not None:
            features_grad = torch.empty_like(features)
            weight_grad = torch.zeros_like(weight, dtype=wide)
            carrying = weight.to(wide) * vector.to(wide).unsqueeze(1)
        with torch.autocast(query.device.type, enabled=False):
            if features is None:
                for block, sigmoid in _sigmoids(query, keys, wide):
                    rows, queries, positions = block
                    slope = grad[block]
                    vector_grad += 2.0 * (slope.flatten() @ sigmoid.flatten(0, 2)) - slope.sum()
                    # 1 - h^2 = 4 (s - s^2); the 4 comes at the end.
                    bent = torch.addcmul(sigmoid, sigmoid, sigmoid, value=-1.0, out=sigmoid)
                    bent = bent.mul_(slope.unsqueeze(-1))
                    query_grad[rows, queries] += bent.sum(2)
                    keys_grad[rows, positions] += bent.sum(1)
                vector = 4.0 * vector.to(wide)
                query_grad, keys_grad = query_grad.mul_(vector), keys_grad.mul_(vector)
                narrow = query_grad.to(query.dtype), keys_grad.to(keys.dtype)
                return *narrow, vector_grad.to(saved[2].dtype), None, None, None
            for block, hidden in _hidden(query, keys, features, weight, wide):
                rows, queries, positions = block
                slope = grad[block]
                vector_grad += slope.flatten() @ hidden.flatten(0, 2)
                bent = hidden.mul_(hidden).mul_(slope.unsqueeze(-1))
                query_grad[rows, queries] -= bent.sum(2)
                keys_grad[rows, positions] -= bent.sum(1)
                if features is not None and carrying is not None and features_grad is not None:
                    found = slope.unsqueeze(-1) * carrying.sum(0) - bent @ carrying
                    features_grad[block] = found.to(features.dtype)
                    some = features[block].to(wide).flatten(0, 2)
                    weight_grad += slope.flatten() @ some - bent.flatten(0, 2).T @ some
        vector = vector.to(wide)
        query_grad.add_(grad.sum(2).unsqueeze(-1)).mul_(vector)
        keys_grad.add_(grad.sum(1).unsqueeze(-1)).mul_(vector)
        if weight_grad is not None:
            weight_grad = weight_grad.mul_(vector.unsqueeze(1)).to(weight.dtype)
        return (
            query_grad.to(query.dtype),
            keys_grad.to(keys.dtype),
            vector_grad.to(saved[2].dtype),
            features_grad,
            weight_grad,
            None,
        )


def _formula(
    query: Float[Tensor, "rows target size"],
    keys: Float[Tensor, "rows source size"],
    vector: Float[Tensor, " size"],
    features: Float[Tensor, "rows target source filters"] | None,
    weight: Float[Tensor, "size filters"] | None,
) -> Float[Tensor, "rows target source"]:
    """Compute the scores with the whole hidden layer."""
    one_head = query.unsqueeze(1), keys.unsqueeze(1)
    if features is None or weight is None:
        return additive_score(*one_head, vector[None]).squeeze(1)
    located = features.unsqueeze(1), weight[None]
    return location_aware_score(*one_head, *located, vector[None]).squeeze(1)


def _apart(
    query: Float[Tensor, "rows target size"],
    keys: Float[Tensor, "rows source size"],
    wide: torch.dtype,
) -> tuple[Tensor, Tensor] | None:
    """Return ``exp(-2 query)`` and ``exp(-2 keys)``, where that pays and they cannot overflow.

    One query needs as many exponentials of keys as its hidden layer has numbers.
    """
    if query.device.type != "cpu" or not is_readable(query):
        return None
    if query.shape[1] < 2 or not (query.numel() and keys.numel()):
        return None
    for one in (query, keys):
        if not one.detach().abs().max().item() <= FARTHEST:  # NaN is not
            return None
    return query.to(wide).mul(-2.0).exp_(), keys.to(wide).mul(-2.0).exp_()


def _sigmoids(
    query: Float[Tensor, "rows target size"],
    keys: Float[Tensor, "rows source size"],
    wide: torch.dtype,
) -> Iterator[tuple[Block, Hidden]]:
    """Compute ``s = 1 / (1 + exp(-2 (q + k)))`` by blocks, each in the place of the one before.

    Then ``tanh(q + k) = 2 s - 1``. Where `_apart` found the exponentials of both sides, the inner
    loop only multiplies and divides.
    """
    apart = _apart(query, keys, wide)
    if apart is None:
        for block, some, keyed, out in _pairs(query, keys, wide):
            yield block, torch.add(some, keyed, out=out).mul_(2.0).sigmoid_()
        return
    one = apart[0].new_ones(())
    for block, some, keyed, out in _pairs(*apart, wide):
        yield block, torch.addcmul(one, some, keyed, out=out).reciprocal_()


def _hidden(
    query: Float[Tensor, "rows target size"],
    keys: Float[Tensor, "rows source size"],
    features: Float[Tensor, "rows target source filters"] | None,
    weight: Float[Tensor, "size filters"] | None,
    wide: torch.dtype,
) -> Iterator[tuple[Block, Hidden]]:
    """Compute the hidden layer block by block, each in the place of the one before."""
    weight = None if weight is None else weight.to(wide).T
    for block, some, keyed, out in _pairs(query, keys, wide):
        torch.add(some, keyed, out=out)
        if features is not None and weight is not None:
            located = features[block].to(wide).reshape(-1, weight.shape[0])
            out.view(-1, out.shape[-1]).addmm_(located, weight)
        yield block, out.tanh_()


def _pairs(
    query: Float[Tensor, "rows target size"],
    keys: Float[Tensor, "rows source size"],
    dtype: torch.dtype,
) -> Iterator[tuple[Block, Tensor, Tensor, Hidden]]:
    """Go through the blocks: queries and keys that broadcast to a block, and where to write it."""
    blocks = list(_blocks(query, keys))
    if not blocks:
        return
    rows, queries, positions = blocks[0]
    store = query.new_empty(rows.stop * queries.stop * positions.stop * query.shape[2], dtype=dtype)
    for rows, queries, positions in blocks:
        some = query[rows, queries].to(dtype).unsqueeze(2)
        keyed = keys[rows, positions].to(dtype).unsqueeze(1)
        shape: torch.Size = cast(Any, torch).broadcast_shapes(some.shape, keyed.shape)
        yield (rows, queries, positions), some, keyed, store[: shape.numel()].view(shape)


def _blocks(query: Tensor, keys: Tensor) -> Iterator[Block]:
    """Cut all pairs of query and key into blocks of about equal size; the first is the largest."""
    rows, target, size = query.shape
    left = max(1, BLOCK.get(query.device.type, BLOCK_ELSEWHERE) // max(1, size))
    positions = max(1, min(keys.shape[1], left))
    queries = max(1, min(target, left // positions))
    together = max(1, min(rows, left // (positions * queries)))
    for row in range(0, rows, together):
        for first in range(0, target, queries):
            for position in range(0, keys.shape[1], positions):
                yield (
                    slice(row, min(rows, row + together)),
                    slice(first, min(target, first + queries)),
                    slice(position, min(keys.shape[1], position + positions)),
                )
