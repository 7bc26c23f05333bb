"""Self-attention."""

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
    """Build self-attention.

    Args:
        table: The components.
        size: Width of the vectors.
        dropout: Fraction of the alignment dropped in training.
        rotary: Use rotary positions.
        scopes: Further scopes in addition to those of the table.

    Raises:
        ValueError: A component needs a memory of fixed length, or queries one after the other.
    """
    parts: dict[str, Any] = dict(table)
    own = parts["scope"]
    parts["scope"] = [*scopes, *(own if isinstance(own, list) else [own])]
    sizes: dict[str, Any] = {"query_size": size, "memory_size": size}
    module = attention.build_multihead(**parts, **sizes, dropout=dropout, rotary=rotary)
    refuse_marginal(module)
    if isinstance(module.scope, attention.PredictedScope):
        raise ValueError(
            "self_attention: a scope that predicts its window, such as 'local_p', needs the length "
            "of the sequence, which is unknown while the target is being written; use scopes that "
            "depend on positions alone, such as 'sliding_window'"
        )
    for part in (module.score, module.scope, module.selection):
        if isinstance(part, ONLY_FOR_A_MEMORY):
            raise ValueError(
                f"self_attention: {type(part).__name__} depends on earlier alignments or samples, "
                "which only attention to the memory supports; use a component that does neither"
            )
    return module


def refuse_marginal(module: attention.MultiHeadAttention) -> None:
    """Refuse to sum over positions that the layers above depend on.

    Raises:
        ValueError: The selection is 'marginal'.
    """
    if isinstance(module.selection, Marginal):
        raise ValueError(
            "attention: selection 'marginal' sums over positions, but in a Transformer the layers "
            "above depend on the positions of every head below: the sum would be over all joint "
            "choices, exponentially many; use 'hard' with its Monte-Carlo gradient, or kind = "
            "'rnn' with order = 'luong' and input_feeding = false"
        )
