"""Prepare AN4 for recipes/an4.toml: hold out speakers for dev, join utterances to long ones.

    python recipes/an4_data.py DATA OUT

DATA holds train.npz and test.npz (one array [frames, 13] an utterance) and train.tsv and test.tsv
(id, frames, text), where an id is utterance-speaker-take. OUT gets what the run file reads: the
manifests train, dev and test; train-joined, which adds to train as many rows again of two
utterances of one speaker; and test-x2, test-x5, test-x10 of so many test utterances joined.
"""

import argparse
import csv
import random
import shutil
from collections.abc import Mapping
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
    train = [row for row in rows if speaker(row) not in held_out]
    write(given.out / "train.tsv", train)
    join_pairs(train, given.data / "train.npz", given.out / "train-joined")
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


def join_pairs(rows: Rows, arrays: Path, to: Path) -> None:
    """Put each utterance in front of another one of its speaker; keep the single ones, too."""
    found, chance = np.load(arrays), random.Random(SEED)
    own: dict[str, Rows] = {}
    for row in rows:
        own.setdefault(speaker(row), []).append(row)
    pairs = [[row, chance.choice(own[speaker(row)])] for row in rows]
    save([[row] for row in rows] + pairs, found, to)


def join(rows: Rows, arrays: Path, to: Path, count: int) -> None:
    """Join utterances in a drawn order, each once; the last row may hold fewer."""
    order = list(rows)
    random.Random(SEED).shuffle(order)
    groups = [order[start : start + count] for start in range(0, len(order), count)]
    save(groups, np.load(arrays), to)


def save(groups: list[Rows], arrays: Mapping[str, np.ndarray], to: Path) -> None:
    """Write a manifest and the frames of rows that are each joined from some."""
    frames, rows = {}, []
    for number, group in enumerate(groups):
        name, text = f"{to.name}-{number}", " ".join(row["text"] for row in group)
        frames[name] = np.concatenate([arrays[row["id"]] for row in group])
        rows.append({"id": name, "frames": str(len(frames[name])), "text": text})
    np.savez(to.with_suffix(".npz"), allow_pickle=False, **frames)
    write(to.with_suffix(".tsv"), rows)


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
