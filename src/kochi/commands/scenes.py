"""``kochi scenes``: draw synthetic images with captions and boxes."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from kochi.commands.example import worked_example
from kochi.printing import say


@worked_example("$ kochi scenes shapes --train 60 --dev 10 --test 10")
def scenes(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Output folder; new or empty.")],
    train: Annotated[int, typer.Option(min=1, help="Number of training scenes.")] = 20_000,
    dev: Annotated[
        int, typer.Option(min=1, help="Number of dev scenes, with held-out combinations.")
    ] = 500,
    test: Annotated[
        int, typer.Option(min=1, help="Number of test scenes, with held-out combinations.")
    ] = 1000,
    seen: Annotated[
        int,
        typer.Option(
            min=0, help="Number of further scenes with the combinations of training, in seen.tsv."
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 1,
) -> None:
    """Draw scenes of coloured shapes, with captions and a box for each word.

    FOLDER gets a manifest for each split, with the columns image, text and boxes. Dev and test
    scenes show combinations of number, size, colour and shape that never occur in training.
    """
    from kochi.scenes.writing import write_scenes

    counts = {"train": train, "dev": dev, "test": test, **({"seen": seen} if seen else {})}
    write_scenes(folder, counts, seed)
    total = ", ".join(f"{split} {count:,}" for split, count in counts.items())
    begin = folder / "train.tsv" if seen else folder  # with seen.tsv the training file is ambiguous
    say(f"wrote {folder} ({total}); next: {shlex.join(['kochi', 'init', str(begin)])}")
