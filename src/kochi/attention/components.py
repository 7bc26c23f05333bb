"""The parts that an attention is made of."""

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
        scope: Which keys a query may see.
        selection: How scores become an alignment.
        relative: What positions add to the score.

    Attributes:
        ask_the_query: Whether what may be seen depends on more than positions and masks.
        look_back: Whether queries must be asked one after the other.
    """

    score: AnyScore
    scope: AnyScope
    selection: AnySelection
    relative: Relative | None = None
    ask_the_query: bool = field(init=False)
    look_back: bool = field(init=False)

    def __post_init__(self) -> None:
        # Once: a check against an abstract class takes as long as a small matrix product.
        asks = not isinstance(self.scope, Scope) or self.relative is not None
        back = (
            isinstance(self.score, RecurrentScore)
            or isinstance(self.scope, RecurrentScope)
            or isinstance(self.selection, RecurrentSelection)
        )
        object.__setattr__(self, "ask_the_query", asks)
        object.__setattr__(self, "look_back", back)


def name(part: object) -> str:
    """Return what a message calls a part."""
    return type(part).__name__
