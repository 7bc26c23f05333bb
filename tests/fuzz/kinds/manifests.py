"""Manifests of recordings and pictures: bad rows, files that are none, absurd times and boxes."""

import shutil
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.case import Case
from tests.fuzz.kinds.tables import QUICK, write_table
from tests.fuzz.mutate import FLOATS, INTEGERS, PATHS, pick

TIMES = ("", "-1", "0", "0.01", "1e308", "nan", "inf", "1,5", "00:00:01", "x", "\x1b")
BOXES = (
    "[]",
    "{}",
    "[[0, 0, 0, 8, 8]]",
    "[[0, 8, 8, 0, 0]]",
    "[[1e30, 0, 0, 1e30, 1e30]]",
    "[[99999999999999999999, 0, 0, 1, 1]]",
    "[[-1, 0, 0, 1, 1]]",
    "[[NaN, NaN, NaN, NaN, NaN]]",
    "[[0, 0, 0, 8]]",
    '[["a", 0, 0, 8, 8]]',
    "[[true, 0, 0, 8, 8]]",
    "[" * 2_000,
    "null",
)


def _sound(draw: Random) -> dict[str, Any]:
    word = draw.choice(("a", "b", "c", "ab"))
    row: dict[str, Any] = {"audio": f"{word}.wav", "split": "train", "text": word}
    if draw.random() < 0.5:
        row |= {"start": pick(draw, TIMES), "end": pick(draw, TIMES)}
    return row


def _picture(draw: Random) -> dict[str, Any]:
    names = draw.choice(("red", "green", "blue", "red-green"))
    return {
        "image": f"{names}.png",
        "split": "train",
        "text": names.replace("-", " "),
        "boxes": pick(draw, BOXES) if draw.random() < 0.5 else "[[0, 0, 0, 8, 8]]",
    }


def make(draw: Random, seeds: Path, folder: Path) -> Case:
    """Train on a manifest, evaluate on it, or write a run file for it."""
    name, key, files, row = pick(
        draw, (("sound", "audio", "wav", _sound), ("pictures", "image", "png", _picture))
    )
    task = seeds / name
    shutil.copytree(task / files, folder / files)
    (folder / "run.toml").write_bytes((task / "run.toml").read_bytes())
    rows = [row(draw) for _ in range(4)]
    for number, split in enumerate(("train", "dev", "test")):
        rows[number]["split"] = split
    columns = {column: "" for one in rows for column in one}
    rows = [columns | one for one in rows]
    if draw.random() < 0.5:
        changed = pick(draw, rows)
        values = PATHS if draw.random() < 0.7 else (*map(str, INTEGERS), *map(str, FLOATS))
        changed[pick(draw, (key, key, key, "text", "split"))] = pick(draw, values)
    form = pick(draw, ("tsv", "tsv", "csv", "json", "jsonl"))
    path = folder / f"all.{form}"
    write_table(draw, path, rows)
    command = pick(draw, ("init", "train", "evaluate", "evaluate"))
    if command == "init":
        target = folder / files / path.name if draw.random() < 0.5 else path
        path.rename(target)
        return Case(["init", str(target.relative_to(folder)), "--out", "new.toml", "--no-estimate"])
    if command == "evaluate":
        return Case(["evaluate", str(task / "model"), path.name])
    separator = ["--set", "data.separator=,", "--set", "data.quoted=true"] if form == "csv" else []
    data = [
        part
        for split in ("train", "dev", "test")
        for part in ("--set", f"data.{split}={path.name}")
    ]
    return Case(["train", "run.toml", *QUICK, *data, *separator])
