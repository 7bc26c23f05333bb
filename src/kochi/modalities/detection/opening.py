"""The first lines of every run file that ``kochi init`` writes."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kochi.data.tables import TableForm
from kochi.run_schema import LINE

NO_EARLY_STOP = (
    "# No early stop: the cosine schedule ends with the last epoch. To stop early,",
    '# take schedule.kind = "plateau" and patience = 10 (evaluations without a new best).',
)


def opening(
    written_from: str, run_file: Path, output: str, seed: int, data: Mapping[str, Any]
) -> list[str]:
    """Return the first lines of a run file, up to and including the data table.

    Args:
        written_from: A description of the data, such as "1,000 training pairs".
        run_file: Path of the run file.
        output: Path of the model folder.
        seed: Seed of the random generator.
        data: The data table, with paths relative to the run file's folder.
    """
    return [
        LINE,
        f"# A run file for kochi, written from {written_from}.",
        f"#   train:  kochi train {run_file.name}",
        f"#   change: edit, or kochi train {run_file.name} --set training.epochs=50",
        "# Paths start at this file's folder.",
        "",
        f"seed = {seed}  # governs everything that is drawn",
        f"output = {toml(output)}  # the model folder; its folder training/ holds the logs",
        "",
        "[data]",
        *(f"{key} = {toml(value)}" for key, value in data.items()),
    ]


def form_table(form: TableForm) -> dict[str, object]:
    """Return the options of the file format that differ from their defaults."""
    usual = TableForm()
    return {
        option: value
        for option, value in dataclasses.asdict(form).items()
        if value != getattr(usual, option)
    }


def toml(value: object) -> str:
    """Write a value as TOML: strings, numbers, and tables of them.

    >>> toml({"a": 1, "b": "c"})
    '{ a = 1, b = "c" }'
    """
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def relative(path: Path, base: Path) -> str:
    """Return ``path`` relative to ``base`` if it is below it, otherwise in full."""
    path, base = path.resolve(), base.resolve()
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()
