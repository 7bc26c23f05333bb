"""Manifests: files that list sources, one per row, with their text."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kochi.data.left_out import Bad, nothing_left, refuse
from kochi.data.lines import LONGEST_DOCUMENT, lines
from kochi.data.records import get_field, read_records
from kochi.data.tables import TableForm, read_cells, read_header
from kochi.errors import UserError


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a manifest.

    Attributes:
        where: File and line, for messages.
        cells: Values by column; text if the manifest is a table.
    """

    where: str
    cells: dict[str, Any]

    def get(self, column: str) -> Any:
        """Return a cell.

        Raises:
            UserError: There is no such column, or the cell is empty.
        """
        value = get_field(self.cells, column, self.where, "column")
        if value is None or value == [] or (isinstance(value, str) and not value.strip()):
            raise UserError(f"{self.where}: '{column}' is empty; fill it in or remove the row")
        return value

    def text(self, column: str) -> str:
        """Return a cell of text.

        Raises:
            UserError: As in `get`, or the cell is not text.
        """
        value = self.get(column)
        if not isinstance(value, str):
            raise UserError(f"{self.where}: '{column}' is {value!r}, expected text")
        return value


def read_rows(
    path: Path,
    form: TableForm | None = None,
    split_column: str | None = None,
    split: str = "",
    bad: Bad = refuse,
) -> Iterator[Row]:
    """Stream the rows of a manifest: a table with a header, or JSON objects.

    Args:
        path: The manifest; plain or gzip. It is JSON if it starts with "{" or "[".
        form: Format of a table; tab-separated by default.
        split_column: Yield only rows in which this column is ``split``; None yields all.
        split: "train", "dev" or "test".
        bad: Called with the error of a bad row.

    Raises:
        UserError: The file is invalid, or has no rows (of the split).
    """
    empty = True
    for row in _rows(path, form or TableForm(), bad):
        try:
            chosen = split_column is None or row.get(split_column) == split
        except UserError as error:
            bad(error)
            continue
        if chosen:
            empty = False
            yield row
    if empty:
        which = "" if split_column is None else f" with '{split}' in column '{split_column}'"
        raise nothing_left(bad, f"{path}: contains no rows{which}; expected at least one")


def is_json(path: Path, encoding: str = "utf-8") -> bool:
    """Return whether a text file starts like JSON.

    Raises:
        UserError: The file cannot be read.
    """
    stream = lines(path, encoding, longest=LONGEST_DOCUMENT)
    first = next((line for line in stream if line.strip()), "")
    return first.lstrip().startswith(("{", "["))


def _rows(path: Path, form: TableForm, bad: Bad) -> Iterator[Row]:
    if is_json(path, form.encoding):
        yield from (Row(where, cells) for where, cells in read_records(path, form.encoding, bad))
        return
    stream = read_cells(path, form)
    names = read_header(path, stream, form)
    if len(set(names)) < len(names):
        raise UserError(f"{path}:1: duplicate column name; found: {', '.join(names)}")
    for number, cells in stream:
        if len(cells) != len(names):
            bad(
                UserError(
                    f"{path}:{number}: found {len(cells)} cells, expected {len(names)} separated "
                    f"by {form.separated_by}, as the header has"
                )
            )
            continue
        yield Row(f"{path}:{number}", dict(zip(names, cells, strict=True)))
