"""Options that several verbs share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

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
Device = Annotated[
    str, typer.Option(help="cpu, cuda, cuda:1 or mps; auto is a CUDA GPU if there is one.")
]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PACKAGE",
        help="An installed package whose code the model may run, for components that are not built "
        "in; repeat it for several.",
    ),
]
Precision = Annotated[
    PrecisionName,
    typer.Option(
        help="Number format of the weights. With bf16 an answer may differ from that of fp32, and "
        "with what shares its batch, where two answers are nearly as good."
    ),
]


class UnknownName(StrEnum):
    """What becomes of unknown words and characters."""

    COPY = "copy"
    MARK = "mark"
    DROP = "drop"


Unknown = Annotated[
    UnknownName | None,
    typer.Option(
        help="Words or characters never seen in training are copied into the answer where the "
        "alignment is clear, marked there, or dropped. Default: the run file's."
    ),
]
MaxSourceLength = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="The most tokens of a text that is answered. Default: the run file's, or 4 times the "
        "longest one in training.",
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Stop at the first source that cannot be answered.")
]
Processes = Annotated[
    int,
    typer.Option(
        min=1,
        help="On the CPU answer in so many processes, a core each: with two a tenth faster "
        "at beam 5, a third at beam 1, once they have begun (a second or more). Worth "
        "it for tens of thousands of sources.",
    ),
]


def search_options(
    beam: int | None,
    batch_size: int | None,
    unknown: UnknownName | None,
    max_source_length: int | None,
) -> dict[str, Any]:
    """Return the options of `kochi.Predictor.predict` that these stand for."""
    return {
        "beam": beam,
        "batch_size": batch_size,
        "unknown": None if unknown is None else unknown.value,
        "max_source_length": max_source_length,
    }
