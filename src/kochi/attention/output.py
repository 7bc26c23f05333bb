"""The output of an attention and its state between calls."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kochi.attention.history import Past


class Draws(NamedTuple):
    """Samples of a sampled selection, for a loss that weights their log-probability.

    Args:
        log_probability: Log-probability of each sample, in nats; 0 where nothing was drawn.
        entropy: Entropy of the distribution it was drawn from, in nats.
    """

    log_probability: Float[Tensor, "batch heads target"]
    entropy: Float[Tensor, "batch heads target"]


@dataclass(frozen=True)
class AttentionState:
    """State that one call passes to the next.

    Args:
        position: Number of queries so far, which is the position of the next one.
        past: Alignments of earlier queries, for recurrent components.
        draws: Samples of a sampled selection in this call; not used by the next call.
        expected: Decisions of a sampled selection for whole sentences (see
            `SampledSelection.settle`).
    """

    position: int = 0
    past: Past | None = None
    draws: Draws | None = None
    expected: Bool[Tensor, " batch"] | None = None

    def reorder(self, beams: Int[Tensor, "batch new_width"]) -> "AttentionState":
        """Select, for each new beam, the old beam of the same sentence that it continues."""
        past = None if self.past is None else self.past.reorder(beams)
        return replace(self, past=past, draws=None)

    def keep(self, rows: Int[Tensor, " kept"]) -> "AttentionState":
        """Keep only the given rows of the batch."""
        past = None if self.past is None else self.past.keep(rows)
        expected = None if self.expected is None else self.expected.index_select(0, rows)
        return replace(self, past=past, draws=None, expected=expected)


torch.export.register_dataclass(AttentionState, serialized_type_name="kochi.AttentionState")
START = AttentionState()


class AttentionOutput(NamedTuple):
    """The output of an attention: ``context, alignment, state = module(query, projected)``.

    Args:
        context: ``[batch, target, context_size]``.
        alignment: ``[batch, target, source]`` for one head without projections, else
            ``[batch, heads, target, source]``; before dropout. ``None`` unless requested.
        state: The state to pass to the next call when decoding step by step.
    """

    context: Tensor
    alignment: Tensor | None
    state: AttentionState
