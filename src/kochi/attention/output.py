"""What an attention answers, and what it must be told at the next call."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor

from kochi.attention.history import Past


class Draws(NamedTuple):
    """What a sampled selection drew, for a loss that weighs its gradient.

    Args:
        log_probability: Of each choice, in nats; 0 where nothing was drawn.
        entropy: Of what it was drawn from, in nats.
    """

    log_probability: Float[Tensor, "batch heads target"]
    entropy: Float[Tensor, "batch heads target"]


@dataclass(frozen=True)
class AttentionState:
    """What one call leaves for the next.

    Args:
        position: Number of queries asked so far: the position of the next one.
        past: Where earlier queries looked, for parts that look back.
        draws: What a sampled selection drew in this call; the next one does not need it.
        expected: What a sampled selection decided for whole sentences (`SampledSelection.settle`).
    """

    position: int = 0
    past: Past | None = None
    draws: Draws | None = None
    expected: Bool[Tensor, " batch"] | None = None

    def reorder(self, beams: Int[Tensor, "batch new_width"]) -> "AttentionState":
        """Let each new beam continue an old beam of its sentence."""
        past = None if self.past is None else self.past.reorder(beams)
        return replace(self, past=past, draws=None)

    def keep(self, rows: Int[Tensor, " kept"]) -> "AttentionState":
        """Keep only some sentences."""
        past = None if self.past is None else self.past.keep(rows)
        expected = None if self.expected is None else self.expected.index_select(0, rows)
        return replace(self, past=past, draws=None, expected=expected)


START = AttentionState()


class Readout(NamedTuple):
    """What was read: ``context, alignment, state = module(query, projected)``.

    Args:
        context: ``[batch, target, context_size]``.
        alignment: ``[batch, target, source]`` for one head without projections, else
            ``[batch, heads, target, source]``; before dropout; ``None`` unless asked for.
        state: What to give to the next call when asking step by step.
    """

    context: Tensor
    alignment: Tensor | None
    state: AttentionState
