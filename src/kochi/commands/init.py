"""``kochi init``: inspect data and write a run file."""

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
            metavar="DATA",
            help="A file or folder of text pairs, or of recordings or images with their text.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The run file to write.")] = Path("run.toml"),
    source: Annotated[
        str | None,
        typer.Option(
            help="The column of sources, or of paths of recordings or images (name, or number "
            "from 1)."
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The column of targets (name, or number from 1).")
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            help="A column of tags, such as N;PL, put in front of the source. Can be given "
            "several times."
        ),
    ] = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Ignore tag columns.")] = False,
    header: Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header",
            help="Whether the first row names the columns. Default: detected.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="TRAIN/DEV/TEST",
            help="Shares of rows, such as 0.8/0.1/0.1. Default: 5 % each for dev and test, at most "
            "2,000 rows, unless there are files for them.",
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(help="Encoding of the text files, such as cp1252. Default: detected."),
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option(help="Separator between the cells of a table. Default: detected."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the split and of training.")] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file.")
    ] = False,
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate/--no-estimate", help="Time a few steps to estimate how long training takes."
        ),
    ] = True,
) -> None:
    """Inspect DATA and write a commented run file that trains a model on it.

    DATA is a table (separated by tabs, commas or semicolons, or exported from a spreadsheet), a
    file of JSON objects, one of two parallel files (such as train.en beside train.de), plain or
    gzip, or a folder with such files. Dev and test files are found by their names; without them,
    rows are split off, reproducibly. The command prints what it detected and the options that
    override it.

    For speech, DATA is a table with a column of paths and one of text, or a folder of recordings
    with a .txt file beside each. A table beside an .npz file of the same name lists features. For
    images, DATA is such a table or folder, or the captions of COCO, Karpathy or Flickr8k.
    """
    if out.exists() and not overwrite:
        raise UserError(f"{out}: already exists; choose another name with --out, or --overwrite")
    if not out.parent.is_dir():
        raise UserError(f"{out}: the folder {out.parent} does not exist; create it first")
    from kochi.modalities.detection.choices import Choices
    from kochi.modalities.detection.start import start
    from kochi.run_schema import write_beside

    if tags and no_tags:
        raise UserError("--tags and --no-tags exclude each other; give one of them")
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
    say("the first pairs as the model will read them:")
    for pair in started.pairs:
        say(f"  {_shown(pair.source)}  ->  {_shown(pair.references[0])}")
    if estimate:
        try:
            need("lightning_fabric")
            from kochi.training.estimate import estimate_training

            say(estimate_training(out))
        except UserError as error:  # the run file is written; training reports the same error
            say(f"kochi: cannot estimate the training time: {error}", error=True)
    say(f"wrote {out}; next: {shlex.join(['kochi', 'train', str(out)])}")


def _shares(split: str | None) -> tuple[float, float, float] | None:
    """Parse shares such as 0.9/0.05/0.05 or 90/5/5."""
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
            f"--encoding {name}: unknown encoding; expected a name such as utf-8, utf-16, cp1252 "
            "or shift_jis"
        ) from None
    return name


def _shown(side: object) -> str:
    """Format one side of a pair on one line: text with its tags, or a file name."""
    text = str(side)
    if isinstance(side, str):
        source, tab, tags = side.rpartition("\t")
        text = f"{source}  [{tags}]" if tab else side
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"
