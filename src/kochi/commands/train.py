"""``kochi train``: train the model of a run file."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from kochi.commands.example import worked_example
from kochi.commands.messages import short
from kochi.errors import Interrupted
from kochi.printing import say


@worked_example(
    "$ kochi init words.tsv",
    "$ kochi train run.toml --set training.epochs=1 --set model.attention.score=general",
)
def train(
    run_file: Annotated[
        Path, typer.Argument(metavar="RUN.toml", help="A run file; 'kochi init' writes one.")
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the run file for this time."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a stopped run was saved.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace what the output folder holds; a model there answers until the new one "
            "is whole.",
        ),
    ] = False,
    devices: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Train with N processes or GPUs.")
    ] = None,
) -> None:
    """Train the model that a run file describes, and write a model folder.

    Ctrl-C saves; 'kochi train RUN.toml --resume' goes on and ends in the same model.
    """
    from kochi.config import read_run

    count = [] if devices is None else [f"training.devices={devices}"]
    run = read_run(run_file, [*(changes or []), *count])
    from kochi.training import train as train_run

    try:
        folder = short(train_run(run, resume=resume, overwrite=overwrite))
    except Interrupted as error:
        again = [part for change in changes or [] for part in ("--set", change)]
        count = [] if devices is None else ["--devices", str(devices)]
        line = shlex.join(["kochi", "train", str(run_file), "--resume", *again, *count])
        raise Interrupted(f"{error}: {line}") from None
    splits = [name for name in ("test", "dev") if getattr(run.data, name) is not None]
    measured = [["kochi", "evaluate", folder, name] for name in splits[:1]]
    read = {"picture": ["PICTURE.png"], "sound": ["RECORDING.wav"]}.get(run.data.kind, [])
    nexts = [*measured, ["kochi", "predict", folder, *read]]
    say(f"wrote {folder}; next: {', or '.join(map(shlex.join, nexts))}")
