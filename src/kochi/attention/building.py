"""Build attention from the names of its components."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from torch import nn

from kochi.attention.attend import Attention
from kochi.attention.components import Components, check_component
from kochi.attention.multihead import MultiHeadAttention, head_size
from kochi.attention.options import check_count
from kochi.attention.relative import RELATIVES, Relative, Rotary
from kochi.attention.scopes import SCOPES, AnyScope, join_scopes
from kochi.attention.scores import SCORES, AnyScore
from kochi.attention.selections import SELECTIONS, AnySelection
from kochi.components import Choice, Slot

Named = str | Mapping[str, Any] | Choice[Any]  # the name of a component, with or without options
OneScope = Named | AnyScope


def build(
    score: Named | AnyScore = "additive",
    scope: OneScope | Sequence[OneScope] = "global",
    selection: Named | AnySelection = "soft",
    *,
    query_size: int,
    memory_size: int,
    num_heads: int = 1,
    relative: Named | Relative | Rotary | None = None,
    dropout: float = 0.0,
    kernel: str = "auto",
) -> Attention | MultiHeadAttention:
    """Build an attention: ``alignment = select(scope(score(query, key) + relative))``.

    A component is given as a name, as a table with its name and options (``{"kind": "soft",
    "temperature": 0.5}``), or as an instance of your own class, built for the sizes inside a head.
    A name may also be that of an installed component, or "package.module:Class".

    >>> import torch
    >>> attention = build("dot", query_size=2, memory_size=2)
    >>> memory = attention.project(torch.tensor([[[9.0, 0.0], [0.0, 7.0]]]))
    >>> query = torch.tensor([[[100.0, 0.0]]])
    >>> context, alignment, state = attention(query, memory, need_alignment=True)
    >>> context.tolist(), alignment.tolist(), state.position
    ([[[9.0, 0.0]]], [[[1.0, 0.0]]], 1)

    Args:
        score: A name in `SCORES`, a table or an instance.
        scope: A name in `SCOPES`, a table or an instance; or a list of them, of which a query may
            attend to the positions that all allow (see `kochi.attention.scopes.join_scopes`).
        selection: A name in `SELECTIONS`, a table or an instance.
        query_size: Size of a query.
        memory_size: Size of a memory value.
        num_heads: With 1, return an `Attention`, which has no projections and a context of
            ``memory_size``. With more, return a `MultiHeadAttention`, with a context of
            ``query_size``.
        relative: The relative position term of the score: a name in `RELATIVES`, a table or an
            instance. "shaw" and "rotary" need a dot-product score. "rotary" also needs projections:
            more than one head, or `build_multihead`.
        dropout: Fraction of the alignment dropped in training.
        kernel: "auto", or the kernel to use: "reference", "sdpa", "dense", "blocked", "banded",
            "windowed", "flex", "triton"; see `AttentionBase.tune`.

    Raises:
        ValueError: A name or option is unknown, sizes do not match, or components cannot be
            combined.
    """
    check_count("num_heads", num_heads)
    if num_heads == 1:
        check_count("query_size", query_size)
        check_count("memory_size", memory_size)
        sizes = {"query_size": query_size, "key_size": memory_size, "num_heads": 1}
        parts, rotary = make_parts(score, scope, selection, relative, sizes)
        if rotary is not None:
            raise ValueError(
                "relative: 'rotary' rotates projected queries and keys, but `build` with one head "
                "has no projections; use build_multihead(..., num_heads=1)"
            )
        return Attention(parts, query_size, memory_size, dropout, kernel)
    return build_multihead(
        score,
        scope,
        selection,
        query_size=query_size,
        memory_size=memory_size,
        num_heads=num_heads,
        relative=relative,
        dropout=dropout,
        kernel=kernel,
    )


def build_multihead(
    score: Named | AnyScore = "scaled_dot",
    scope: OneScope | Sequence[OneScope] = "global",
    selection: Named | AnySelection = "soft",
    *,
    query_size: int,
    memory_size: int,
    num_heads: int,
    relative: Named | Relative | Rotary | None = None,
    dropout: float = 0.0,
    kernel: str = "auto",
    rotary: bool = False,
) -> MultiHeadAttention:
    """Build `MultiHeadAttention`, also for one head; arguments and errors as in `build`.

    ``rotary`` applies rotary positions in addition to another relative term.
    """
    size = head_size(query_size, num_heads)
    check_count("memory_size", memory_size)
    sizes = {"query_size": size, "key_size": size, "num_heads": num_heads}
    parts, turn = make_parts(score, scope, selection, relative, sizes)
    if turn is None and rotary:
        turn = Rotary(size)
    return MultiHeadAttention(parts, query_size, memory_size, num_heads, dropout, kernel, turn)


def make_parts(
    score: Named | AnyScore,
    scope: OneScope | Sequence[OneScope],
    selection: Named | AnySelection,
    relative: Named | Relative | Rotary | None,
    sizes: dict[str, Any],
) -> tuple[Components, Rotary | None]:
    """Build all components for the sizes inside a head; rotary positions come apart."""
    made: AnyScore = _make(SCORES, score, sizes)
    made_scope, made_selection = _make_scope(scope, sizes), _make(SELECTIONS, selection, sizes)
    # Without a dot product, the attention refuses the combination.
    scale = 1.0 if made.dot_scale is None else made.dot_scale
    term = None if relative is None else _make(RELATIVES, relative, {**sizes, "dot_scale": scale})
    rotary, term = (term, None) if isinstance(term, Rotary) else (None, term)
    return Components(made, made_scope, made_selection, term), rotary


def _make_scope(scope: OneScope | Sequence[OneScope], sizes: dict[str, Any]) -> AnyScope:
    if not isinstance(scope, list | tuple):
        return _make(SCOPES, scope, sizes)
    if not scope:
        raise ValueError("scope: got an empty list, expected at least one scope, such as 'global'")
    return join_scopes([_make(SCOPES, one, sizes) for one in scope])


def _make(slot: Slot[Any], part: Any, sizes: dict[str, Any]) -> Any:
    """Build a component for the sizes inside a head; return an instance unchanged."""
    if isinstance(part, Choice):
        return cast("Choice[Any]", part).build(**sizes)
    if not isinstance(part, nn.Module):
        return slot.choose(part).build(**sizes)
    check_component(slot.name, part)
    return part
