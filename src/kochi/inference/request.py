"""What a caller requests, and what the engine computes for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor

from kochi.decoding import Hypothesis
from kochi.inference.strategies import DecodingStrategy
from kochi.inference.unknown_words import Unknown
from kochi.memory import Layout

Errors = Literal["raise", "skip"]


@dataclass(frozen=True)
class Request:
    """How sources are to be processed; see `kochi.Predictor.predict`."""

    need_alignment: bool = False
    need_heads: bool = False
    batch_size: int | None = None
    errors: Errors = "raise"
    unknown: Unknown = "drop"
    max_source_length: int | None = None
    n_best: int | None = None  # None: every hypothesis, even where two have the same text


class Task(NamedTuple):
    """A batch for the engine.

    Attributes:
        strategy: How hypotheses are found.
        rows: The sources as the reader encoded them.
        need_alignment: Whether to align the best hypotheses.
        need_heads: Whether to align them by every layer and head.
        need_origins: Whether to align every hypothesis where the source or a hypothesis holds an
            unknown token.
    """

    strategy: DecodingStrategy
    rows: Sequence[Any]
    need_alignment: bool
    need_heads: bool
    need_origins: bool = False

    def select(self, indices: list[int]) -> "Task":
        """Return the task of some of the sources."""
        rows = [self.rows[index] for index in indices]
        return self._replace(strategy=self.strategy.select(indices), rows=rows)


class Searched(NamedTuple):
    """What the engine found for one source.

    Attributes:
        hypotheses: Best first; none where the model's scores are not finite.
        heads: The best one's alignment by the requested layers and heads, or None.
        layout: What the alignment's columns are.
        origins: The alignment of every hypothesis, where something is unknown.
    """

    hypotheses: list[Hypothesis]
    heads: Float[Tensor, "layers heads target source"] | None
    layout: Layout
    origins: "Sequence[Float[Tensor, 'target source'] | None]" = ()
