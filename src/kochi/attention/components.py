"""The components of an attention."""

from dataclasses import dataclass, field

from kochi.attention.relative.base import Relative
from kochi.attention.scopes.base import AnyScope, RecurrentScope, Scope
from kochi.attention.scores.base import AnyScore, RecurrentScore
from kochi.attention.selections.base import AnySelection, RecurrentSelection


@dataclass(frozen=True, eq=False)
class Components:
    """``alignment = select(scope(score(query, key) + relative))``.

    Args:
        score: How well a query matches a key; built for the sizes inside a head.
        scope: Which keys a query may attend to.
        selection: How scores become an alignment.
        relative: The relative position term of the score.

    Attributes:
        needs_query: Whether the mask or bias depends on more than positions and masks.
        recurrent: Whether a component depends on earlier alignments, so that queries must be
            processed one after the other.
    """

    score: AnyScore
    scope: AnyScope
    selection: AnySelection
    relative: Relative | None = None
    needs_query: bool = field(init=False)
    recurrent: bool = field(init=False)

    def __post_init__(self) -> None:
        # Computed once: isinstance with an abstract class costs as much as a small matrix product.
        needs_query = not isinstance(self.scope, Scope) or self.relative is not None
        recurrent = (
            isinstance(self.score, RecurrentScore)
            or isinstance(self.scope, RecurrentScope)
            or isinstance(self.selection, RecurrentSelection)
        )
        object.__setattr__(self, "needs_query", needs_query)
        object.__setattr__(self, "recurrent", recurrent)


def name(part: object) -> str:
    """Return the name of a component for messages."""
    return type(part).__name__
