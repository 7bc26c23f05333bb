"""``kochi init``: look at data and write a run file."""

import codecs
import shlex
from pathlib import Path
from typing import Annotated

import typer

from kochi.commands.example import worked_example
from kochi.errors import UserError
from kochi.extras import need
from kochi.printing import say

MOST_SHOWN = 60  # characters of one side


@worked_example(
    "$ kochi init words.tsv --out words.toml",
    "$ kochi init table.csv --source English --target German --split 0.8/0.1/0.1",
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
    source: Annotated[
        str | None,
        typer.Option(help="The column of sources (name, or number from 1), or of files."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The column of targets (name, or number from 1).")
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(help="A column of tags, such as N;PL, read in front of the source."),
    ] = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Leave tags out.")] = False,
    header: Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header",
            help="Whether the first row names the columns. Default: by comparison with the rest.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="TRAIN/DEV/TEST",
            help="Shares of rows, such as 0.8/0.1/0.1. Default: 5 % for dev and for test, at most "
            "2,000 rows each, where there are no files for them.",
        ),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of the text files, such as cp1252. Default: detected.")
    ] = None,
    separator: Annotated[
        str | None, typer.Option(help="Between cells of a table. Default: detected.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Governs the split and the training.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run file.")] = False,
    estimate: Annotated[
        bool,
        typer.Option("--estimate/--no-estimate", help="Time a few steps to say how long all take."),
    ] = True,
) -> None:
    """Look at DATA and write a commented run file that trains on them.

    DATA is a table (tabs, commas, semicolons, ...; as spreadsheets write it), a file of JSON
    objects, one of two parallel files (such as train.en beside train.de), plain or gzip, or a
    folder with such files. Files for dev and test are found by their names; if there are none, rows
    are split off, always in the same way. What was found is printed, with the options that change
    it.

    For sound DATA is a table with a column of paths and one of text, or a folder of recordings with
    a .txt file beside each. A table beside an .npz file of the same name lists features. For
    pictures DATA is such a table or folder, or the captions of COCO, Karpathy or Flickr8k.
    """
    if out.exists() and not overwrite:
        raise UserError(f"{out}: is there already; give --out another name, or --overwrite")
    if not out.parent.is_dir():
        raise UserError(f"{out}: the folder {out.parent} does not exist; make it first")
    from kochi.modalities.detection.choices import Choices
    from kochi.modalities.detection.start import start
    from kochi.run_schema import write_beside

    if tags and no_tags:
        raise UserError("--tags and --no-tags exclude each other")
    choices = Choices(
        source,
        target,
        () if no_tags else tuple(tags) if tags else None,
        header,
        _shares(split),
        _encoding(encoding),
        separator,
    )
    output = "model" if out.name == "run.toml" else f"{out.stem}-model"
    started = start(data, out, output, seed, choices)
    write_beside(out)
    say(f"{data}: {started.num_pairs:,} training pairs ({started.kind})")
    say(started.chosen)
    for note in started.notes:
        say(f"note: {note}")
    say("the first pairs as they will be read:")
    for pair in started.pairs:
        say(f"  {_shown(pair.source)}  ->  {_shown(pair.references[0])}")
    if estimate:
        try:
            need("lightning")
            from kochi.training.estimate import estimate_training

            say(estimate_training(out))
        except UserError as error:  # the run file is there; training says the same
            say(f"kochi: no step could be timed: {error}", error=True)
    say(f"wrote {out}; next: {shlex.join(['kochi', 'train', str(out)])}")


def _shares(split: str | None) -> tuple[float, float, float] | None:
    """Read shares such as 0.9/0.05/0.05 or 90/5/5."""
    if split is None:
        return None
    try:
        numbers = [float(part) for part in split.split("/")]
    except ValueError:
        numbers = []
    if len(numbers) != 3 or min(numbers) < 0 or numbers[0] <= 0 or not sum(numbers[1:]) > 0:
        raise UserError(
            f"--split {split}: expected the shares of train, dev and test, such as 0.9/0.05/0.05"
        )
    train, dev, test = (number / sum(numbers) for number in numbers)
    return train, dev, test


def _encoding(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        codecs.lookup(name)
    except LookupError:
        raise UserError(
            f"--encoding {name}: unknown; such as utf-8, utf-16, cp1252, shift_jis"
        ) from None
    return name


def _shown(side: object) -> str:
    """Show one side of a pair in one line: text with its tags, or the name of a file."""
    text = str(side)
    if isinstance(side, str):
        source, tab, tags = side.rpartition("\t")
        text = f"{source}  [{tags}]" if tab else side
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"
