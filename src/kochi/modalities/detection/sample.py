"""The first rows of a data file, and its format."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from kochi.data.left_out import Bad
from kochi.data.lines import LONGEST_DOCUMENT, lines
from kochi.data.manifest import is_json
from kochi.data.records import read_records
from kochi.data.tables import TableForm, read_cells
from kochi.errors import UserError
from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.columns import Column, Name, describe_column
from kochi.modalities.detection.encodings import detect_encoding
from kochi.modalities.detection.header import is_header

MOST = 1000  # rows that are examined
# Tried in this order; the one that occurs in no text wins, and otherwise the one that gives more
# columns. Two spaces separate the sides of pronunciation dictionaries such as CMU's.
SEPARATORS = ("\t", " ||| ", ";", "|", ",", "  ")
CERTAIN = ("\t", " ||| ")
SPREADSHEETS = (",", ";")  # with these, quotes around a cell are those of a spreadsheet
WHOLE = 0.9  # minimum fraction of rows with the same number of cells


@dataclass(frozen=True)
class Sample:
    """Some rows of a table or of JSON objects.

    Attributes:
        path: The file.
        form: The format of a table; for JSON, only the encoding.
        json: Whether it contains JSON objects; nested fields are named with dots.
        header: Whether the first row contains the column names; always true for JSON.
        columns: The contents of each column.
        rows: The rows, as mappings from column to cell.
        first_row: The unparsed first row of a table.
        notes: Remarks on how the file is read.
    """

    path: Path
    form: TableForm
    json: bool
    header: bool
    columns: tuple[Column, ...]
    rows: tuple[dict[Name, Any], ...]
    first_row: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def names(self) -> list[Name]:
        """Return the names of the columns, or their numbers."""
        return [column.name for column in self.columns]

    def column(self, reference: str) -> Column:
        """Return the column with a name or a number.

        Raises:
            UserError: There is none.
        """
        for column in self.columns:
            if reference == str(column.name):
                return column
        if reference.isdecimal() and 1 <= int(reference) <= len(self.columns):
            return self.columns[int(reference) - 1]
        found = ", ".join(map(str, self.names))
        raise UserError(f"{self.path}: no column {reference!r}; found: {found}")

    def __str__(self) -> str:
        if self.json:
            return f"JSON objects, {self.form.encoding.upper()}"
        quoted = ", cells may be quoted" if self.form.quoted else ""
        return f"a table with {self.form.separated_by}{quoted}, {self.form.encoding.upper()}"


def take_sample(path: Path, choices: Choices) -> Sample | None:
    """Read the first rows of a file; None if it is neither a table nor JSON.

    Raises:
        UserError: The file cannot be read, or is empty.
    """
    encoding, note = choices.encoding, None
    if encoding is None:
        encoding, note = detect_encoding(path)
    notes = () if note is None else (note,)
    if not any(line.strip() for line in lines(path, encoding, longest=LONGEST_DOCUMENT)):
        raise UserError(f"{path}: is empty; expected one pair of source and target a line")
    if is_json(path, encoding):
        records = [record for _, record in islice(read_records(path, encoding), MOST)]
        flat = [flatten(record) for record in records]
        names = list(dict.fromkeys(name for record in flat for name in record))
        form = TableForm(encoding=encoding)
        return _sample(path, form, True, True, names, flat, (), notes)
    form = detect_form(path, encoding, choices.separator)
    if form is None:
        return None
    return _of_table(path, form, choices.header, notes)


def _of_table(path: Path, form: TableForm, header: bool | None, notes: tuple[str, ...]) -> Sample:
    rows = [cells for _, cells in islice(read_cells(path, form), MOST)]
    width = Counter(map(len, rows)).most_common(1)[0][0]
    if header is None:
        header = is_header(rows)
    first = rows[0]
    names: list[Name] = list(range(1, width + 1))
    if header:
        if len(set(first)) < len(first):
            raise UserError(
                f"{path}:1: duplicate column name; found: {', '.join(first)}; rename one, "
                "or say --no-header"
            )
        names, rows = list[Name](first), rows[1:]
    records = [dict(zip(names, cells, strict=False)) for cells in rows]
    return _sample(path, form, False, header, names, records, tuple(first), notes)


def _sample(
    path: Path,
    form: TableForm,
    json: bool,
    header: bool,
    names: Sequence[Name],
    rows: list[dict[Name, Any]],
    first_row: tuple[str, ...],
    notes: tuple[str, ...],
) -> Sample:
    columns = tuple(describe_column(name, [row.get(name) for row in rows]) for name in names)
    return Sample(path, form, json, header, columns, tuple(rows), first_row, notes)


def read_columns(
    path: Path, sample: Sample, names: Sequence[Name], bad: Bad
) -> Iterator[tuple[str, list[str]]]:
    """Stream some cells of each row of a table, with the position of the row.

    Args:
        path: The table, in the format of the sample.
        sample: Describes the columns.
        names: The columns to read.
        bad: Called with the error of a row that lacks one of them.
    """
    places = [sample.names.index(name) for name in names]
    rows = read_cells(path, sample.form)
    if sample.header:
        next(rows, None)
    for number, row in rows:
        cells = [row[place].strip() for place in places if place < len(row)]
        if len(cells) == len(places) and all(cells):
            yield f"{path}:{number}", cells
        else:
            columns = " and ".join(map(str, names))
            bad(UserError(f"{path}:{number}: expected something in the columns {columns}"))


def flatten(record: dict[str, Any], prefix: str = "") -> dict[Name, Any]:
    """Flatten nested objects, naming their fields with dots.

    >>> flatten({"id": 1, "translation": {"en": "a", "cs": "b"}})
    {'id': 1, 'translation.en': 'a', 'translation.cs': 'b'}
    """
    flat: dict[Name, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def detect_form(path: Path, encoding: str, separator: str | None = None) -> TableForm | None:
    """Detect the separator of a table; None if there is none.

    Raises:
        UserError: The file cannot be read, or it is not a table with this ``separator``.
    """
    best: tuple[int, TableForm] | None = None
    for candidate in SEPARATORS if separator is None else (separator,):
        form = TableForm(candidate, False, encoding)
        width = _width(path, form)
        if candidate in SPREADSHEETS or (width and _needs_quotes(path, form)):
            quoted = replace(form, quoted=True)
            if found := _width(path, quoted):
                form, width = quoted, found
        if width and (best is None or width > best[0]):
            best = width, form
        if best is not None and candidate in CERTAIN:
            break
    if best is None and separator is not None:
        raise UserError(
            f"{path}: {separator!r} does not make a table of it; expected as many cells in each row"
        )
    return None if best is None else best[1]


def _width(path: Path, form: TableForm) -> int:
    """Return the number of cells per row; 0 if it is less than two or differs between rows."""
    try:
        widths = Counter(len(cells) for _, cells in islice(read_cells(path, form), MOST))
    except UserError:
        return 0
    width, count = widths.most_common(1)[0]
    whole = WHOLE if form.separator == "\t" else 1.0
    if width < 2 and form.separator == "\t" and widths.total() > count:
        width, count = max(widths.items(), key=lambda item: (item[0] > 1, item[1]))
        whole = 0.5
    return width if width > 1 and count >= whole * widths.total() else 0


def _needs_quotes(path: Path, form: TableForm) -> bool:
    """Return whether quotes in a tab-separated table are those of a spreadsheet, not of the text.

    A spreadsheet quotes all cells, or only those with a quote (which it doubles) or a separator
    inside. Quotes that are part of the text are left unchanged.
    """
    cells = [cell for _, row in islice(read_cells(path, form), MOST) for cell in row]
    wrapped = [c for c in cells if len(c) > 1 and c.startswith('"') and c.endswith('"')]
    if not wrapped or len(form.separator) > 1:
        return False
    inner = [cell[1:-1] for cell in wrapped]
    paired = all('"' not in text.replace('""', "") for text in inner)
    return paired and (all('""' in text for text in inner) or len(wrapped) == len(cells))
