"""Options that several verbs share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class PrecisionName(StrEnum):
    """Number formats of the weights."""

    FP32 = "fp32"
    BF16 = "bf16"


class UnitName(StrEnum):
    """What an alignment is told between."""

    AUTO = "auto"
    WORDS = "words"
    TOKENS = "tokens"


ModelFolder = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model folder that 'kochi train' wrote.")
]
Beam = Annotated[
    int | None, typer.Option(min=1, help="1 is greedy and fastest. Default: the run file's.")
]
BatchSize = Annotated[
    int | None, typer.Option(min=1, help="Sources computed together. Default: the run file's.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1; auto is a GPU if there is one.")]
Precision = Annotated[PrecisionName, typer.Option(help="Number format of the weights.")]
Processes = Annotated[
    int,
    typer.Option(
        min=1,
        help="On the CPU answer in so many processes, a core each: with two a tenth faster "
        "at beam 5, a third at beam 1, once they have begun (a second or more). Worth "
        "it for tens of thousands of sources.",
    ),
]
