"""The parts that an attention is made of."""

from typing import NamedTuple

from kochi.attention.relative.base import Relative
from kochi.attention.scopes.base import AnyScope, RecurrentScope, Scope
from kochi.attention.scores.base import AnyScore, RecurrentScore
from kochi.attention.selections.base import AnySelection, RecurrentSelection


class Parts(NamedTuple):
    """``alignment = select(scope(score(query, key) + relative))``.

    Args:
        score: How well a query matches a key; built for the sizes inside a head.
        scope: Which keys a query may see.
        selection: How scores become an alignment.
        relative: What positions add to the score.
    """

    score: AnyScore
    scope: AnyScope
    selection: AnySelection
    relative: Relative | None = None

    @property
    def ask_the_query(self) -> bool:
        """Whether what may be seen depends on more than positions and masks."""
        return not isinstance(self.scope, Scope) or self.relative is not None

    @property
    def look_back(self) -> bool:
        """Whether queries must be asked one after the other."""
        return (
            isinstance(self.score, RecurrentScore)
            or isinstance(self.scope, RecurrentScope)
            or isinstance(self.selection, RecurrentSelection)
        )


def name(part: object) -> str:
    """Return what a message calls a part."""
    return type(part).__name__
