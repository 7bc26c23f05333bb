"""Rows of tables with separated cells, plain or quoted as spreadsheets write them.

Rows without any text, such as the blank line at the end of a file, are skipped.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kochi.data.lines import lines
from kochi.errors import UserError
from kochi.modalities.tables import ManifestData
from kochi.modalities.text.tables import TsvData
from kochi.reading import parsing

SEPARATOR_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", " ": "spaces"}


@dataclass(frozen=True, slots=True)
class TableForm:
    r"""The format of a table.

    Attributes:
        separator: The character between cells.
        quoted: Whether cells in double quotes may hold separators, line breaks, and quotes twice.
        encoding: Of the file, where it has no byte-order mark.
    """

    separator: str = "\t"
    quoted: bool = False
    encoding: str = "utf-8"

    @property
    def separated_by(self) -> str:
        """Name of the separator for messages, such as "tabs"."""
        return SEPARATOR_NAMES.get(self.separator, repr(self.separator))


def form_of(data: TsvData | ManifestData) -> TableForm:
    """Return the format of the tables of a run."""
    return TableForm(data.separator, data.quoted, data.encoding)


def read_cells(path: Path, form: TableForm) -> Iterator[tuple[int, list[str]]]:
    """Stream the rows of a table: the line number where each starts, and its cells.

    Raises:
        UserError: The file cannot be read or decoded, or a quote is never closed.
    """
    rows = _quoted_cells(path, form) if form.quoted else _plain_cells(path, form)
    return ((number, cells) for number, cells in rows if any(map(str.strip, cells)))


def read_header(path: Path, rows: Iterator[tuple[int, list[str]]], form: TableForm) -> list[str]:
    """Read the header of a table from its rows.

    Raises:
        UserError: There are no rows.
    """
    _, names = next(rows, (1, []))
    if not names:
        raise UserError(
            f"{path}:1: no header; expected the column names, separated by {form.separated_by}"
        )
    return names


def _plain_cells(path: Path, form: TableForm) -> Iterator[tuple[int, list[str]]]:
    separator = form.separator
    for number, line in enumerate(lines(path, form.encoding), 1):
        yield number, line.split(separator)


def _quoted_cells(path: Path, form: TableForm) -> Iterator[tuple[int, list[str]]]:
    rows = csv.reader(
        (f"{line}\n" for line in lines(path, form.encoding)), delimiter=form.separator, strict=True
    )
    number = 1
    remedy = (
        f"expected {form.separated_by} between cells and double quotes around cells that hold one, "
        "with quotes written twice"
    )
    with parsing(lambda: f"{path}:{number}", "a row of cells", remedy):
        for cells in rows:
            yield number, cells
            number = rows.line_num + 1
