"""Tables that a run file and the components that it names have in common, and types of options."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kochi.components import Choice
from kochi.schema import Chosen

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
AboveZero = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
# Limits that no use comes near: a model folder of somebody else must not keep the machine busy.
Layers = Annotated[int, Field(gt=0, le=1_000)]
Heads = Annotated[int, Field(gt=0, le=10_000)]
Positions = Annotated[int, Field(gt=0, le=10_000_000)]
Cell = Literal["lstm", "gru"]
Norm = Literal["pre", "post"]
TextPositions = Literal["sinusoidal", "learned", "rotary"]
GridPositionsName = Literal["sinusoidal", "none"]
Activation = Literal["relu", "gelu", "silu"]


class Table(BaseModel):
    """Base of every table: nothing unknown is accepted, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def part(slot: str, several: bool = False) -> Chosen:
    """Return the slot of a part of attention."""
    return Chosen(f"kochi.attention:{slot}", several)


def by_default(kind: str) -> Any:
    """Return a default that is checked as if a user had written it."""
    return Field(default=kind, validate_default=True)


Part = Choice[Any]


class Attention(Table):
    """The parts of one attention; see ``kochi.attention.build``.

    Each is a name, or a table with the name as ``kind`` and the part's own options. A list of
    scopes sees what all of them see.
    """

    score: Annotated[Part, part("SCORES")] = by_default("additive")
    scope: Annotated[Part | list[Part], part("SCOPES", several=True)] = by_default("global")
    selection: Annotated[Part, part("SELECTIONS")] = by_default("soft")
    relative: Annotated[Part, part("RELATIVES")] | None = None
    num_heads: Heads = 1
    kernel: str = "auto"


class HeadsAttention(Attention):
    """An attention of a Transformer: what the table leaves out is as in Vaswani et al. 2017."""

    score: Annotated[Part, part("SCORES")] = by_default("scaled_dot")
    num_heads: Heads = 4
