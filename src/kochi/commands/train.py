"""``kochi train``: train the model of a run file."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kochi.commands.example import worked_example
from kochi.commands.messages import short
from kochi.errors import Interrupted
from kochi.modalities import modality_of
from kochi.printing import say
from kochi.streams import forget_output, is_closed

if TYPE_CHECKING:
    from kochi.config import Run
    from kochi.data.pair import Split


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
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a key of the run file for this run. Can be given several times.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted run from its last checkpoint.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace the run or model in the output folder, which must hold nothing else. An "
            "existing model stays usable until the new one is complete.",
        ),
    ] = False,
    devices: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Train with N processes or GPUs.")
    ] = None,
) -> None:
    """Train the model that a run file describes and write a model folder.

    Ctrl-C (or SIGTERM, SIGHUP) saves a checkpoint and stops. 'kochi train RUN.toml --resume'
    continues and, on the same machine, ends with the same model, bit for bit.
    """
    from kochi.config import read_run
    from kochi.publishing import publish
    from kochi.schema import packages_of

    count = [] if devices is None else [f"training.devices={devices}"]
    run = read_run(run_file, [*(changes or []), *count])
    from kochi.training import train as train_run
    from kochi.training.cluster import this_cluster

    try:
        folder = short(train_run(run, resume=resume, overwrite=overwrite))
    except Interrupted as error:
        again = [part for change in changes or [] for part in ("--set", change)]
        count = [] if devices is None else ["--devices", str(devices)]
        line = shlex.join(["kochi", "train", str(run_file), "--resume", *again, *count])
        raise Interrupted(f"{error}: {line}") from None
    cluster = this_cluster()
    if cluster is not None and cluster.rank:
        return  # only the first process prints the path of the model
    trust = [word for name in packages_of(publish(run, run.output)) for word in ("--trust", name)]
    read = ["kochi", "predict", folder, modality_of(run.data).example]
    commands = [*_measured(run, folder), list(filter(None, read))]
    nexts = [[*words, *trust] for words in commands]
    try:
        say(f"wrote {folder}; next: {', or '.join(map(shlex.join, nexts))}")
        sys.stdout.flush()
    except OSError as error:
        if not is_closed(error):
            raise
        forget_output()


def _measured(run: "Run", folder: str) -> list[list[str]]:
    """Return commands that evaluate the model, naming a split if its folder can find the data."""
    from kochi.modalities import modality_of
    from kochi.modalities.pairs import split_files
    from kochi.modalities.text.tables import HuggingFaceData
    from kochi.publishing import published_data

    splits: list[Split] = ["test", "dev"]
    given: list[Split] = [split for split in splits if getattr(run.data, split) is not None]
    if not given:
        return []
    split = given[0]
    words = ["kochi", "evaluate", folder]
    files, found = split_files(run.data, split), split_files(published_data(run), split)
    if isinstance(run.data, HuggingFaceData) or files == found:
        return [[*words, split]]
    if modality_of(run.data).in_files:  # file names alone do not identify its rows and folders
        return []
    return [[*words, *map(short, files)]]
