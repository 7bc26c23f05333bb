"""Attention of a sequence to itself."""

from collections.abc import Sequence
from typing import Any

from kochi import attention
from kochi.attention.selections import Marginal
from kochi.tables import HeadsAttention

ONLY_FOR_A_MEMORY = (
    attention.RecurrentScore,
    attention.RecurrentScope,
    attention.RecurrentSelection,
    attention.SampledSelection,
)


def attention_to_itself(
    table: HeadsAttention,
    size: int,
    dropout: float = 0.0,
    rotary: bool = False,
    scopes: Sequence[str] = (),
) -> attention.MultiHeadAttention:
    """Build the attention of a sequence to itself.

    Args:
        table: Its parts.
        size: Width of the vectors.
        dropout: Fraction of the alignment dropped in training.
        rotary: Turn queries and keys by their positions.
        scopes: What stands beside the scopes of the table.

    Raises:
        ValueError: Components that need a memory that stays, and queries that follow each other.
    """
    parts: dict[str, Any] = dict(table)
    own = parts["scope"]
    parts["scope"] = [*scopes, *(own if isinstance(own, list) else [own])]
    sizes: dict[str, Any] = {"query_size": size, "memory_size": size}
    module = attention.build_multihead(**parts, **sizes, dropout=dropout, rotary=rotary)
    refuse_marginal(module)
    if isinstance(module.scope, attention.PredictedScope):
        raise ValueError(
            "self_attention: a scope that predicts its window, such as 'local_p', predicts a share "
            "of the sequence's length, which nobody knows while the target is being written; here "
            "choose scopes that go by positions, such as 'sliding_window'"
        )
    for part in (module.score, module.scope, module.selection):
        if isinstance(part, ONLY_FOR_A_MEMORY):
            raise ValueError(
                f"self_attention: {type(part).__name__} looks back at earlier alignments or draws, "
                "which attention to the memory can; here choose parts that do neither"
            )
    return module


def refuse_marginal(module: attention.MultiHeadAttention) -> None:
    """Refuse a sum over a choice that layers above depend on.

    Raises:
        ValueError: The selection is 'marginal'.
    """
    if isinstance(module.selection, Marginal):
        raise ValueError(
            "attention: selection 'marginal' sums over the choice of a place, and in a Transformer "
            "the layers and positions above read what was chosen in every head below: the sum "
            "would be over all joint choices, exponentially many; take 'hard' for its Monte-Carlo "
            "gradient, or kind = 'rnn' with order = 'luong' and input_feeding = false"
        )
