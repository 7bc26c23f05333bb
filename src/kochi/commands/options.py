"""Options that several subcommands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class PrecisionName(StrEnum):
    """Number format of the weights."""

    FP32 = "fp32"
    BF16 = "bf16"


class UnitName(StrEnum):
    """Units of an alignment."""

    AUTO = "auto"
    WORDS = "words"
    TOKENS = "tokens"


ModelFolder = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model folder that 'kochi train' wrote.")
]
Beam = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Beam size; 1 is greedy search, the fastest. Default: the run file's.",
    ),
]
BatchSize = Annotated[
    int | None, typer.Option(min=1, help="Number of sources per batch. Default: the run file's.")
]
Device = Annotated[
    str, typer.Option(help="cpu, cuda, cuda:1 or mps; auto uses a CUDA GPU if there is one.")
]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PACKAGE",
        help="An installed package whose code the model may run, for components that are not built "
        "in. Can be given several times.",
    ),
]
Precision = Annotated[
    PrecisionName,
    typer.Option(
        help="Number format of the weights. With bf16, a prediction may differ from that of fp32, "
        "and depend on the rest of its batch, where two hypotheses have nearly the same score."
    ),
]


class UnknownName(StrEnum):
    """How to treat unknown words and characters."""

    COPY = "copy"
    MARK = "mark"
    DROP = "drop"


Unknown = Annotated[
    UnknownName | None,
    typer.Option(
        help="How to treat words or characters that training never saw: copy them into the "
        "prediction where the alignment is clear, mark them there, or drop them. Default: the "
        "run file's."
    ),
]
MaxSourceLength = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Maximum number of tokens of a source text; longer ones are refused. Default: the run "
        "file's, or 4 times the longest one in training.",
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Stop at the first source that cannot be predicted.")
]
Processes = Annotated[
    int,
    typer.Option(
        min=1,
        help="Number of processes that predict on the CPU, one core each. Two are a tenth faster "
        "than one at beam 5 and a third at beam 1, after a second or more to start. Worth "
        "it for tens of thousands of sources.",
    ),
]


def search_options(
    beam: int | None,
    batch_size: int | None,
    unknown: UnknownName | None,
    max_source_length: int | None,
) -> dict[str, Any]:
    """Return these as options of `kochi.Predictor.predict`."""
    return {
        "beam": beam,
        "batch_size": batch_size,
        "unknown": None if unknown is None else unknown.value,
        "max_source_length": max_source_length,
    }
