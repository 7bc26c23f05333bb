"""Manifests: files that list what is heard, a row each, with the text that belongs to it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kochi.data.lines import lines
from kochi.errors import UserError


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a manifest.

    Attributes:
        where: File and line, for messages.
        cells: Values by column; of a tab-separated file they are text.
    """

    where: str
    cells: dict[str, Any]

    def get(self, column: str) -> Any:
        """Return a cell.

        Raises:
            UserError: There is no such column, or the cell is empty.
        """
        if column not in self.cells:
            found = ", ".join(self.cells) or "none"
            raise UserError(f"{self.where}: column '{column}' is missing; found: {found}")
        value = self.cells[column]
        if value is None or value == [] or (isinstance(value, str) and not value.strip()):
            raise UserError(f"{self.where}: '{column}' is empty; fill it in or remove the row")
        return value

    def text(self, column: str) -> str:
        """Return a cell of text.

        Raises:
            UserError: As in `get`, or the cell holds something else.
        """
        value = self.get(column)
        if not isinstance(value, str):
            raise UserError(f"{self.where}: '{column}' is {value!r}, expected text")
        return value


def read_rows(path: Path, split_column: str | None = None, split: str = "") -> Iterator[Row]:
    """Stream the rows of a manifest: tab-separated with a header, or a JSON object a line.

    Args:
        path: The manifest; plain or gzip.
        split_column: Give only rows in which this column is ``split``; None gives all.
        split: "train", "dev" or "test".

    Raises:
        UserError: At the first thing wrong with the file, or it has no rows (of the split).
    """
    empty = True
    for row in _rows(path):
        if split_column is None or row.get(split_column) == split:
            empty = False
            yield row
    if empty:
        which = "" if split_column is None else f" with '{split}' in column '{split_column}'"
        raise UserError(f"{path}: holds no rows{which}; expected at least one")


def _rows(path: Path) -> Iterator[Row]:
    stream = enumerate(lines(path), 1)
    number, first = next(stream, (0, ""))
    if first.lstrip().startswith("{"):
        yield _json_row(f"{path}:{number}", first)
        for number, line in stream:
            yield _json_row(f"{path}:{number}", line)
        return
    if not first.strip():
        raise UserError(f"{path}:1: no header; expected the column names, separated by tabs")
    names = first.split("\t")
    if len(set(names)) < len(names):
        raise UserError(f"{path}:1: a column name is there twice; found: {', '.join(names)}")
    for number, line in stream:
        cells = line.split("\t")
        if len(cells) != len(names):
            raise UserError(
                f"{path}:{number}: found {len(cells)} cells, expected {len(names)} separated by "
                "tabs, as the header has"
            )
        yield Row(f"{path}:{number}", dict(zip(names, cells, strict=True)))


def _json_row(where: str, line: str) -> Row:
    try:
        cells = json.loads(line)
    except (RecursionError, ValueError) as error:
        raise UserError(f"{where}: not JSON: {error}") from None
    if not isinstance(cells, dict):
        raise UserError(f"{where}: found {type(cells).__name__}, expected an object with fields")
    return Row(where, cells)
