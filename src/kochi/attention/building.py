"""The public door: an attention from the names of its parts."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn

from kochi.attention.attend import Attention
from kochi.attention.multihead import MultiHeadAttention, head_size
from kochi.attention.options import check_count
from kochi.attention.parts import Parts
from kochi.attention.relative import T5, Alibi, Relative, Shaw
from kochi.attention.scopes import (
    AnyScope,
    Causal,
    Coverage,
    Global,
    LocalM,
    LocalP,
    PredictedScope,
    RecurrentScope,
    Scope,
    SlidingWindow,
    join_scopes,
)
from kochi.attention.scores import (
    Additive,
    AnyScore,
    Cosine,
    Dot,
    General,
    Location,
    LocationAware,
    RecurrentScore,
    ScaledDot,
    Score,
)
from kochi.attention.selections import (
    AnySelection,
    Chunkwise,
    Entmax,
    Entmax15,
    Gumbel,
    Hard,
    Marginal,
    Monotonic,
    RecurrentSelection,
    SampledSelection,
    Selection,
    Smoothed,
    Soft,
    Sparsemax,
    StraightThrough,
    TopK,
)

Table = Mapping[str, Any]
OneScope = str | Table | AnyScope


class Sizes(NamedTuple):
    """What parts are built for, inside a head.

    Args:
        query_size: Size of a query.
        key_size: Size of a key, and of a query that a dot product has projected.
        num_heads: Number of heads.
        dot_scale: Of the score, for relative terms.
    """

    query_size: int
    key_size: int
    num_heads: int
    dot_scale: float | None = None


class Maker(NamedTuple):
    """How a part is made: its class, and which sizes come before its own options."""

    kind: type[nn.Module]
    sizes: Callable[[Sizes], tuple[Any, ...]] = lambda sizes: ()

    def make(self, what: str, sizes: Sizes, options: Table) -> nn.Module:
        """Make the part; ``what`` names it in an error."""
        given = self.sizes(sizes)
        allowed = list(inspect.signature(self.kind).parameters)[len(given) :]
        for option in options:
            if option not in allowed:
                names = ", ".join(map(repr, allowed)) or "none"
                raise ValueError(f"{what}: got the option {option!r}, expected {names}")
        return self.kind(*given, **options)


def _both(sizes: Sizes) -> tuple[int, int]:
    return sizes.query_size, sizes.key_size


def _all(sizes: Sizes) -> tuple[int, int, int]:
    return sizes.query_size, sizes.key_size, sizes.num_heads


def _query(sizes: Sizes) -> tuple[int, int]:
    return sizes.query_size, sizes.num_heads


def _heads(sizes: Sizes) -> tuple[int]:
    return (sizes.num_heads,)


def _product(sizes: Sizes) -> tuple[int, float]:
    # Without a dot product the parts are refused as soon as all are made.
    return sizes.key_size, 1.0 if sizes.dot_scale is None else sizes.dot_scale


MAKE_SCORE: dict[str, Maker] = {
    "dot": Maker(Dot, _both),
    "scaled_dot": Maker(ScaledDot, _both),
    "general": Maker(General, _all),
    "cosine": Maker(Cosine, _all),
    "additive": Maker(Additive, _all),
    "location": Maker(Location, _query),
    "location_aware": Maker(LocationAware, _all),
}
MAKE_SCOPE: dict[str, Maker] = {
    "global": Maker(Global),
    "causal": Maker(Causal),
    "sliding_window": Maker(SlidingWindow),
    "local_m": Maker(LocalM),
    "local_p": Maker(LocalP, _query),
    "coverage": Maker(Coverage, _heads),
}
MAKE_SELECTION: dict[str, Maker] = {
    "soft": Maker(Soft),
    "smoothed": Maker(Smoothed),
    "sparsemax": Maker(Sparsemax),
    "entmax15": Maker(Entmax15),
    "entmax": Maker(Entmax, _heads),
    "top_k": Maker(TopK),
    "hard": Maker(Hard),
    "straight_through": Maker(StraightThrough),
    "gumbel": Maker(Gumbel),
    "marginal": Maker(Marginal),
    "monotonic": Maker(Monotonic, _heads),
    "chunkwise": Maker(Chunkwise, _heads),
}
MAKE_RELATIVE: dict[str, Maker] = {
    "shaw": Maker(Shaw, _product),
    "t5": Maker(T5, _heads),
    "alibi": Maker(Alibi, _heads),
}

SCORES = tuple(MAKE_SCORE)
SCOPES = tuple(MAKE_SCOPE)
SELECTIONS = tuple(MAKE_SELECTION)
ROTARY = "rotary"
RELATIVES = (*MAKE_RELATIVE, ROTARY)


def build(
    score: str | Table | AnyScore = "additive",
    scope: OneScope | Sequence[OneScope] = "global",
    selection: str | Table | AnySelection = "soft",
    *,
    query_size: int,
    memory_size: int,
    num_heads: int = 1,
    relative: str | Table | Relative | None = None,
    dropout: float = 0.0,
    kernel: str = "auto",
) -> Attention | MultiHeadAttention:
    """Build an attention: ``alignment = select(scope(score(query, key) + relative))``.

    A part is a name, a table with its name and options (``{"kind": "soft", "temperature": 0.5}``),
    or an object of a class of your own, built for the sizes inside a head.

    >>> import torch
    >>> attention = build("dot", query_size=2, memory_size=2)
    >>> memory = attention.project(torch.tensor([[[9.0, 0.0], [0.0, 7.0]]]))
    >>> query = torch.tensor([[[100.0, 0.0]]])
    >>> context, alignment, state = attention(query, memory, need_alignment=True)
    >>> context.tolist(), alignment.tolist(), state.position
    ([[[9.0, 0.0]]], [[[1.0, 0.0]]], 1)

    Args:
        score: A name in `SCORES`, a table or an object.
        scope: A name in `SCOPES`, a table or an object; or a list of them: a query then sees what
            all of them let it see (see `kochi.attention.scopes.join_scopes`).
        selection: A name in `SELECTIONS`, a table or an object.
        query_size: Size of a query.
        memory_size: Size of a memory value.
        num_heads: 1 gives `Attention`, without projections of its own and with a context of
            ``memory_size``; more give `MultiHeadAttention`, with a context of ``query_size``.
        relative: What positions add to the score: a name in `RELATIVES`, a table or an object.
            "shaw" and "rotary" are for dot products; "rotary" needs projections and so more than
            one head, or `build_multihead`.
        dropout: Fraction of the alignment dropped in training.
        kernel: "auto", or a kernel that must serve: "reference", "sdpa", "dense",
            "blocked", "banded", "windowed".

    Raises:
        ValueError: An unknown name or option, sizes that do not fit, or parts that cannot combine.
    """
    check_count("num_heads", num_heads)
    if num_heads == 1:
        if _is_rotary(relative):
            raise ValueError(
                "relative: 'rotary' turns queries and keys after their projections, and one head "
                "of `build` has none; use build_multihead(..., num_heads=1)"
            )
        check_count("query_size", query_size)
        check_count("memory_size", memory_size)
        sizes = Sizes(query_size, memory_size, 1)
        parts = make_parts(score, scope, selection, relative, sizes)
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
    score: str | Table | AnyScore = "scaled_dot",
    scope: OneScope | Sequence[OneScope] = "global",
    selection: str | Table | AnySelection = "soft",
    *,
    query_size: int,
    memory_size: int,
    num_heads: int,
    relative: str | Table | Relative | None = None,
    dropout: float = 0.0,
    kernel: str = "auto",
    rotary: bool = False,
) -> MultiHeadAttention:
    """Build `MultiHeadAttention`, also for one head; arguments and errors as in `build`.

    ``rotary``, or "rotary" as the relative term, turns queries and keys by their positions, see
    `kochi.attention.rotary`.
    """
    if _is_rotary(relative):
        relative, rotary = None, True
    size = head_size(query_size, num_heads)
    check_count("memory_size", memory_size)
    parts = make_parts(score, scope, selection, relative, Sizes(size, size, num_heads))
    return MultiHeadAttention(parts, query_size, memory_size, num_heads, dropout, kernel, rotary)


def make_parts(
    score: str | Table | AnyScore,
    scope: OneScope | Sequence[OneScope],
    selection: str | Table | AnySelection,
    relative: str | Table | Relative | None,
    sizes: Sizes,
) -> Parts:
    """Make the parts for the sizes inside a head; objects are kept as they are.

    Raises:
        ValueError: See `build`.
    """
    made: AnyScore = _make("score", score, MAKE_SCORE, sizes, (Score, RecurrentScore))
    sizes = sizes._replace(dot_scale=made.dot_scale)
    parts = Parts(
        made,
        _make_scope(scope, sizes),
        _make(
            "selection",
            selection,
            MAKE_SELECTION,
            sizes,
            (Selection, RecurrentSelection, SampledSelection),
        ),
        None
        if relative is None
        else _make("relative", relative, MAKE_RELATIVE, sizes, (Relative,)),
    )
    why = refuse(parts)
    if why is not None:
        raise ValueError(why)
    return parts


def refuse(parts: Parts) -> str | None:
    """Say why parts cannot combine; ``None`` if they can."""
    relative = parts.relative
    if relative is not None and relative.needs_dot_product and parts.score.dot_scale is None:
        return (
            f"relative: {type(relative).__name__} is a term of a dot product, which the "
            f"score {type(parts.score).__name__} is not; use 'dot', 'scaled_dot', 'general' or "
            "'cosine'"
        )
    return None


def _is_rotary(relative: str | Table | Relative | None) -> bool:
    if not isinstance(relative, Mapping):
        return isinstance(relative, str) and relative == ROTARY
    if relative.get("kind") != ROTARY:
        return False
    for option in relative:
        if option != "kind":
            raise ValueError(f"relative {ROTARY!r}: got the option {option!r}, expected none")
    return True


def _make_scope(scope: OneScope | Sequence[OneScope], sizes: Sizes) -> AnyScope:
    kinds = Scope, PredictedScope, RecurrentScope
    if not isinstance(scope, list | tuple):
        return _make("scope", scope, MAKE_SCOPE, sizes, kinds)
    if not scope:
        raise ValueError("scope: got an empty list, expected one scope or more, such as 'global'")
    return join_scopes([_make("scope", one, MAKE_SCOPE, sizes, kinds) for one in scope])


def _make(
    what: str,
    part: Any,
    makers: dict[str, Maker],
    sizes: Sizes,
    kinds: tuple[type[nn.Module], ...],
) -> Any:
    if isinstance(part, nn.Module):
        if not isinstance(part, kinds):
            names = " or ".join(kind.__name__ for kind in kinds)
            raise ValueError(f"{what}: got a {type(part).__name__}, expected a {names}")
        return part
    if not isinstance(part, str | Mapping):
        raise ValueError(
            f"{what}: got {part!r}, expected a name, a table with its kind and options, or an "
            "object"
        )
    table = {"kind": part} if isinstance(part, str) else dict(part)
    name = table.pop("kind", None)
    if name not in makers:
        allowed = ", ".join(map(repr, RELATIVES if what == "relative" else makers))
        raise ValueError(f"{what}: got {name!r}, expected one of {allowed}")
    return makers[name].make(f"{what} {name!r}", sizes, table)
