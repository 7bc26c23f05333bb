"""Prepare AN4 for recipes/an4.toml: hold out speakers for dev, join test utterances to long ones.

    python recipes/an4_data.py DATA OUT

DATA holds train.npz and test.npz (one array [frames, 13] an utterance) and train.tsv and test.tsv
(id, frames, text), where an id is utterance-speaker-take. OUT gets what the run file reads: the
manifests train, dev, test, and test-x2, test-x5, test-x10 of so many test utterances joined.
"""

import argparse
import csv
import random
import shutil
from pathlib import Path

import numpy as np

EVERY = 11  # of the speakers, in the order of their names, each such one is held out
JOINED = (2, 5, 10)
SEED = 1
Rows = list[dict[str, str]]


def main() -> None:
    """Write everything and say how much it is."""
    parser = argparse.ArgumentParser(description="Prepare AN4 for recipes/an4.toml.")
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        shutil.copyfile(given.data / f"{split}.npz", given.out / f"{split}.npz")
    rows = read(given.data / "train.tsv")
    held_out = set(sorted({speaker(row) for row in rows})[::EVERY])
    write(given.out / "train.tsv", [row for row in rows if speaker(row) not in held_out])
    write(given.out / "dev.tsv", [row for row in rows if speaker(row) in held_out])
    test = read(given.data / "test.tsv")
    write(given.out / "test.tsv", test)
    for count in JOINED:
        join(test, given.out / "test.npz", given.out / f"test-x{count}", count)


def speaker(row: dict[str, str]) -> str:
    """Return who speaks.

    >>> speaker({"id": "an1-mblw-b"})
    'mblw'
    """
    return row["id"].split("-")[1]


def join(rows: Rows, arrays: Path, to: Path, count: int) -> None:
    """Join utterances in a drawn order, each once; the last row may hold fewer."""
    found, order = np.load(arrays), list(rows)
    random.Random(SEED).shuffle(order)
    groups = [order[start : start + count] for start in range(0, len(order), count)]
    joined = {f"{to.name}-{n}": [found[row["id"]] for row in g] for n, g in enumerate(groups)}
    frames = {name: np.concatenate(parts) for name, parts in joined.items()}
    np.savez(to.with_suffix(".npz"), allow_pickle=False, **frames)
    texts = [" ".join(row["text"] for row in group) for group in groups]
    named = zip(frames.items(), texts, strict=True)
    write(
        to.with_suffix(".tsv"),
        [{"id": name, "frames": str(len(found)), "text": text} for (name, found), text in named],
    )


def read(path: Path) -> Rows:
    """Read a manifest."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def write(path: Path, rows: Rows) -> None:
    """Write a manifest and say how much it holds."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "frames", "text"], delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    minutes = sum(int(row["frames"]) for row in rows) / 6000
    print(f"{path}: {len(rows)} utterances, {minutes:.1f} minutes")


if __name__ == "__main__":
    main()
