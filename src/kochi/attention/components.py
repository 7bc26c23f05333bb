"""The components of an attention."""

from dataclasses import dataclass, field

from kochi.attention.relative import RELATIVES
from kochi.attention.relative.base import Relative
from kochi.attention.scopes import SCOPES, Global
from kochi.attention.scopes.base import AnyScope, RecurrentScope, Scope
from kochi.attention.scores import SCORES
from kochi.attention.scores.base import AnyScore, RecurrentScore
from kochi.attention.selections import SELECTIONS
from kochi.attention.selections.base import AnySelection, RecurrentSelection

SLOTS = {"score": SCORES, "scope": SCOPES, "selection": SELECTIONS, "relative": RELATIVES}


@dataclass(frozen=True, eq=False)
class Components:
    """``alignment = select(scope(score(query, key) + relative))``.

    Args:
        score: How well a query matches a key; built for the sizes inside a head.
        scope: Which keys a query may attend to.
        selection: How scores become an alignment.
        relative: The relative position term of the score.

    Attributes:
        hides: Whether the scope hides any position.
        needs_query: Whether the mask or bias depends on more than positions and masks.
        recurrent: Whether a component depends on earlier alignments, so that queries must be
            processed one after the other.
    """

    score: AnyScore
    scope: AnyScope
    selection: AnySelection
    relative: Relative | None = None
    hides: bool = field(init=False)
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
        object.__setattr__(self, "hides", type(self.scope) is not Global)
        object.__setattr__(self, "needs_query", needs_query)
        object.__setattr__(self, "recurrent", recurrent)


def check_component(slot: str, part: object) -> None:
    """Check that an instance is a component of that slot.

    Raises:
        ValueError: It is not.
    """
    bases = SLOTS[slot].bases
    if not isinstance(part, bases):
        names = " or ".join(base.__name__ for base in bases)
        raise ValueError(f"{slot}: got a {type(part).__name__}, expected a {names}")


def check_combination(parts: Components) -> None:
    """Check that components can be combined.

    Raises:
        ValueError: They cannot.
    """
    relative = parts.relative
    if relative is not None and relative.needs_dot_product and parts.score.dot_scale is None:
        raise ValueError(
            f"relative: {name(relative)} needs a dot product, which the score "
            f"{name(parts.score)} is not; use 'dot', 'scaled_dot', 'general' or 'cosine'"
        )


def check_rotary(score: AnyScore) -> None:
    """Check that a score can use rotary positions.

    Raises:
        ValueError: It cannot.
    """
    if score.dot_scale is None:
        raise ValueError(
            f"rotary: rotary positions need a dot product, which the score {name(score)} "
            "is not; use 'dot', 'scaled_dot', 'general' or 'cosine'"
        )


def name(part: object) -> str:
    """Return the name of a component for messages."""
    return type(part).__name__
