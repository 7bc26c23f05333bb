"""Tables and option types that run files share with the components they name."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kochi.components import Choice
from kochi.schema import Chosen

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
AboveZero = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
# Far above any real use: a model folder from somebody else must not exhaust the machine.
Layers = Annotated[int, Field(gt=0, le=1_000)]
Heads = Annotated[int, Field(gt=0, le=10_000)]
Positions = Annotated[int, Field(gt=0, le=10_000_000)]
Cell = Literal["lstm", "gru"]
Norm = Literal["pre", "post"]
TextPositions = Literal["sinusoidal", "learned", "rotary"]
GridPositionsName = Literal["sinusoidal", "none"]
Activation = Literal["relu", "gelu", "silu"]


class Table(BaseModel):
    """Base class of every table: unknown keys are refused, and instances are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def part(slot: str, several: bool = False) -> Chosen:
    """Return the annotation of a field that selects a component of attention."""
    return Chosen(f"kochi.attention:{slot}", several)


def by_default(kind: str) -> Any:
    """Return a default that is validated like a value from the user."""
    return Field(default=kind, validate_default=True)


Part = Choice[Any]


class Attention(Table):
    """The components of an attention; see ``kochi.attention.build``.

    Each is a name, or a table with the name as ``kind`` and the component's own options. A list of
    scopes allows the positions that all of them allow.
    """

    score: Annotated[Part, part("SCORES")] = by_default("additive")
    scope: Annotated[Part | list[Part], part("SCOPES", several=True)] = by_default("global")
    selection: Annotated[Part, part("SELECTIONS")] = by_default("soft")
    relative: Annotated[Part, part("RELATIVES")] | None = None
    num_heads: Heads = 1
    kernel: str = "auto"


class HeadsAttention(Attention):
    """The components of a Transformer's attention; the defaults are Vaswani et al. 2017."""

    score: Annotated[Part, part("SCORES")] = by_default("scaled_dot")
    num_heads: Heads = 4
