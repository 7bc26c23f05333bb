"""``kochi scenes``: make pictures with known answers."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from kochi.commands.example import worked_example
from kochi.printing import say


@worked_example("$ kochi scenes shapes --train 60 --dev 10 --test 10")
def scenes(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write; new or empty.")],
    train: Annotated[int, typer.Option(min=1, help="Scenes to train on.")] = 20_000,
    dev: Annotated[int, typer.Option(min=1, help="Scenes with held-out combinations.")] = 500,
    test: Annotated[int, typer.Option(min=1, help="Others with held-out combinations.")] = 1000,
    seen: Annotated[int, typer.Option(min=0, help="New scenes without them, as seen.tsv.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Governs what is drawn.")] = 1,
) -> None:
    """Draw scenes of coloured shapes, with captions and the boxes that each word is to be seen in.

    FOLDER gets a manifest for each split: columns image, text, boxes. Dev and test scenes show
    combinations of number, size, colour and shape that training scenes never do.
    """
    from kochi.scenes.writing import write_scenes

    counts = {"train": train, "dev": dev, "test": test, **({"seen": seen} if seen else {})}
    write_scenes(folder, counts, seed)
    total = ", ".join(f"{split} {count:,}" for split, count in counts.items())
    begin = folder / "train.tsv" if seen else folder  # several could be meant for training
    say(f"wrote {folder} ({total}); next: {shlex.join(['kochi', 'init', str(begin)])}")
