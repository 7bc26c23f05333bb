"""``kochi init``: look at data and write a run file."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from kochi.commands.example import worked_example
from kochi.errors import UserError


@worked_example(
    "$ kochi init words.tsv --out words.toml",
    "$ kochi train words.toml --set training.epochs=1",
)
def init(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="Pairs of text, recordings or pictures: a file or a folder."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The run file to write.")] = Path("run.toml"),
    seed: Annotated[int, typer.Option(min=0, help="Governs the split and the training.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run file.")] = False,
) -> None:
    """Look at DATA and write a commented run file that trains on them.

    DATA is a file of tab-separated columns, a file of JSON objects, one of two parallel files (such
    as train.en beside train.de), plain or gzip, or a folder with such files. Files for dev and test
    are found by their names; if there are none, the pairs are split, always in the same way.

    For sound DATA is a manifest (tab-separated with a header, or JSON objects; a column of paths
    and one of text), or a folder of recordings with a .txt file beside each. A manifest beside an
    .npz file of the same name lists features. For pictures DATA is such a manifest or folder, too.
    """
    if out.exists() and not overwrite:
        raise UserError(f"{out}: is there already; give --out another name, or --overwrite")
    if not out.parent.is_dir():
        raise UserError(f"{out}: the folder {out.parent} does not exist; make it first")
    from kochi.starting.write import start

    started = start(data, out, "model" if out.name == "run.toml" else f"{out.stem}-model", seed)
    print(f"{data}: {started.num_pairs:,} training pairs ({started.kind})")
    print(started.chosen)
    for note in started.notes:
        print(f"note: {note}")
    print(f"wrote {out}; next: {shlex.join(['kochi', 'train', str(out)])}")
