"""Tables of text as data of `init`, `train`, `evaluate` and `predict`."""

import csv
import io
import json
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.case import Case
from tests.fuzz.kinds import seeds
from tests.fuzz.mutate import change_tree, damage, damage_lines, nest, odd_text, odd_value, pick

FORMS = ("tsv", "csv", "json", "jsonl", "txt")
QUICK = ["--set", "training.max_steps=1", "--set", "training.accelerator=cpu"]


def records() -> list[dict[str, Any]]:
    """Return the rows of the task."""
    rows = [line.split("\t") for line in seeds.table(seeds.WORDS[:12]).splitlines()]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def write_table(draw: Random, path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as a table that something is wrong with, in the form of the file's ending."""
    if path.suffix in (".json", ".jsonl"):
        path.write_bytes(_json(draw, rows, path.suffix == ".jsonl"))
        return
    separator = "," if path.suffix == ".csv" else "\t"
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerows([list(rows[0]), *(row.values() for row in rows)])
    path.write_bytes(damage_lines(draw, text.getvalue(), separator + '"'))


def _json(draw: Random, rows: list[dict[str, Any]], lines: bool) -> bytes:
    action = draw.random()
    if action < 0.5:
        tree: Any = {"data": rows} if draw.random() < 0.3 else rows
        for _ in range(draw.choice((1, 1, 2, 5))):
            change_tree(draw, tree, lambda: odd_value(draw))
        if lines and isinstance(tree, list):
            return "".join(json.dumps(row) + "\n" for row in tree).encode()
        return json.dumps(tree).encode()
    plain = [json.dumps(row, ensure_ascii=False) for row in rows]
    text = "\n".join(plain) if lines else f"[{', '.join(plain)}]"
    if action < 0.6:
        deep = nest(draw.choice((100, 1_000, 100_000)), *draw.choice((("[", "]"), ('{"a":', "}"))))
        return text.replace('"', deep, draw.randint(1, 3)).encode()
    if action < 0.7:
        number = pick(draw, ("NaN", "-Infinity", "1" * 5_000, "1e99999", "\\ud800", '"\\ud800"'))
        return text.replace('"source"', f'"{odd_text(draw)}": {number}, "source"', 1).encode(
            "utf-8", "replace"
        )
    return damage_lines(draw, text, ',:"{}') if action < 0.9 else damage(draw, text.encode())


def make(draw: Random, folder_of_seeds: Path, folder: Path) -> Case:
    """Give a table to one of the commands."""
    form = pick(draw, FORMS)
    path = folder / f"data.{form}"
    write_table(draw, path, records())
    command = pick(draw, ("init", "init", "train", "evaluate", "predict"))
    if command == "init":
        options = ["--no-estimate"] if draw.random() < 0.9 else []
        if draw.random() < 0.2:
            options += [
                pick(draw, ("--source", "--target", "--separator", "--encoding", "--split")),
                odd_text(draw).replace("\0", ""),
            ]
        return Case(["init", path.name, *options])
    model = str(folder_of_seeds / "text" / "model")
    if command == "evaluate":
        return Case(["evaluate", model, path.name])
    if command == "predict":
        return Case(["predict", model, path.name])
    seeds.write_task(folder)
    kind = "jsonl" if form.startswith("json") else "tsv"
    data = [f"data.{draw.choice(('train', 'train', 'dev'))}={path.name}"]
    if kind == "jsonl":
        # Only what a data set of JSON has, too.
        (folder / "run.toml").write_text(
            seeds.RUN.replace('kind = "tsv"', 'kind = "jsonl"')
            .replace("_column", "_field")
            .replace('separator = "\\t"\n', "")
        )
        (folder / "train.tsv").write_text("".join(json.dumps(row) + "\n" for row in records()))
        (folder / "dev.tsv").write_text("".join(json.dumps(row) + "\n" for row in records()[:4]))
    elif form == "csv":
        data += ["data.separator=,", "data.quoted=true"]
    return Case(["train", "run.toml", *QUICK, *(part for one in data for part in ("--set", one))])
