"""The public door: an attention from the names of its parts."""

from typing import TypeVar

from kochi.attention.attend import Attention
from kochi.attention.multihead import MultiHeadAttention, head_size
from kochi.attention.scopes import Causal, Global, Scope
from kochi.attention.scores import Additive, Dot, General, ScaledDot, Score
from kochi.attention.selections import Selection, Soft

SCORES = ("dot", "scaled_dot", "general", "additive")
SCOPES = ("global", "causal")
SELECTIONS = ("soft",)

Part = TypeVar("Part")


def build(
    score: str | Score = "additive",
    scope: str | Scope = "global",
    selection: str | Selection = "soft",
    *,
    query_size: int,
    memory_size: int,
    num_heads: int = 1,
    hidden_size: int | None = None,
    dropout: float = 0.0,
    kernel: str = "auto",
) -> Attention | MultiHeadAttention:
    """Build an attention: ``alignment = select(scope(score(query, key)))``.

    >>> import torch
    >>> attention = build("dot", query_size=2, memory_size=2)
    >>> memory = attention.project(torch.tensor([[[9.0, 0.0], [0.0, 7.0]]]))
    >>> query = torch.tensor([[[100.0, 0.0]]])
    >>> context, alignment, state = attention(query, memory, need_alignment=True)
    >>> context.tolist(), alignment.tolist(), state.position
    ([[[9.0, 0.0]]], [[[1.0, 0.0]]], 1)

    Args:
        score: A name in `SCORES`, or an object of a class of your own (built for the sizes inside
            a head).
        scope: A name in `SCOPES`, or an object.
        selection: A name in `SELECTIONS`, or an object.
        query_size: Size of a query.
        memory_size: Size of a memory value.
        num_heads: 1 gives `Attention`, without projections of its own and with a context of
            ``memory_size``; more give `MultiHeadAttention`, with a context of ``query_size``.
        hidden_size: Width of the additive score's hidden layer, in each head; by default the size
            of the query inside a head.
        dropout: Fraction of the alignment dropped in training.
        kernel: "auto", or a kernel that must serve: "reference", "sdpa", "dense".

    Raises:
        ValueError: An unknown name, sizes that do not fit, or parts that cannot combine.
    """
    if isinstance(num_heads, bool) or num_heads < 1:
        raise ValueError(f"num_heads: got {num_heads}, expected 1 or more")
    if num_heads == 1:
        parts = make_parts(score, scope, selection, query_size, memory_size, 1, hidden_size)
        return Attention(*parts, query_size, memory_size, dropout, kernel)
    return build_multihead(
        score,
        scope,
        selection,
        query_size=query_size,
        memory_size=memory_size,
        num_heads=num_heads,
        hidden_size=hidden_size,
        dropout=dropout,
        kernel=kernel,
    )


def build_multihead(
    score: str | Score = "scaled_dot",
    scope: str | Scope = "global",
    selection: str | Selection = "soft",
    *,
    query_size: int,
    memory_size: int,
    num_heads: int,
    hidden_size: int | None = None,
    dropout: float = 0.0,
    kernel: str = "auto",
    rotary: bool = False,
) -> MultiHeadAttention:
    """Build `MultiHeadAttention`, also for one head; arguments and errors as in `build`.

    ``rotary`` turns queries and keys by their positions, see `kochi.attention.rotary`.
    """
    size = head_size(query_size, num_heads)
    parts = make_parts(score, scope, selection, size, size, num_heads, hidden_size)
    return MultiHeadAttention(*parts, query_size, memory_size, num_heads, dropout, kernel, rotary)


def make_parts(
    score: str | Score,
    scope: str | Scope,
    selection: str | Selection,
    query_size: int,
    key_size: int,
    num_heads: int,
    hidden_size: int | None,
) -> tuple[Score, Scope, Selection]:
    """Make the three parts for the sizes inside a head; objects are kept as they are."""
    if hidden_size is not None and score != "additive":
        raise ValueError(f"hidden_size: only score 'additive' has a hidden layer, not {score!r}")
    if isinstance(score, str):
        score = _make_score(score, query_size, key_size, num_heads, hidden_size)
    if isinstance(scope, str):
        scope = _pick("scope", scope, dict(zip(SCOPES, (Global, Causal), strict=True)))()
    if isinstance(selection, str):
        selection = _pick("selection", selection, dict(zip(SELECTIONS, (Soft,), strict=True)))()
    return score, scope, selection


def _make_score(
    name: str, query_size: int, key_size: int, num_heads: int, hidden_size: int | None
) -> Score:
    makers = {
        "dot": lambda: Dot(query_size, key_size),
        "scaled_dot": lambda: ScaledDot(query_size, key_size),
        "general": lambda: General(query_size, key_size, num_heads),
        "additive": lambda: Additive(query_size, key_size, hidden_size, num_heads),
    }
    return _pick("score", name, makers)()


def _pick(kind: str, name: str, choices: dict[str, Part]) -> Part:
    if name not in choices:
        raise ValueError(f"{kind}: got {name!r}, expected one of {', '.join(map(repr, choices))}")
    return choices[name]
