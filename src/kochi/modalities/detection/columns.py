"""Detect the contents of table columns from their cells: text, tags, numbers, file names."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from kochi.modalities.audio.rows import ENDINGS as SOUND_ENDINGS
from kochi.modalities.detection.header import SOURCE_NAMES, TARGET_NAMES
from kochi.modalities.detection.names import SPLIT_NAMES
from kochi.modalities.image.rows import ENDINGS as PICTURE_ENDINGS

Name = str | int
Kind = Literal[
    "text",
    "labels",
    "partly empty",
    "number",
    "date",
    "key",
    "tags",
    "address",
    "index",
    "one value",
    "split",
    "pictures",
    "recordings",
    "empty",
    "other",
]
# Suitability as source or target; kinds that are not listed are unsuitable.
RANKS: dict[Kind, int] = {
    **{"text": 0, "labels": 1, "partly empty": 2, "number": 3, "date": 4, "key": 5, "tags": 6},
    **{"address": 7, "index": 8, "one value": 9, "split": 10},
}
TEXTS: tuple[Kind, ...] = ("text", "labels", "partly empty")
TAG_SEPARATORS = (";", "|", "+", ",", "/", " ")
MOST = 0.95  # minimum fraction of cells of a kind; the rest may be errors
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{1,2}:\d\d(:\d\d)?"
)
_NUMBER = re.compile(r"[-+]?\d[\d.,\s]*%?")
_ADDRESS = re.compile(r"(https?|ftp)://\S+")
_TAG = re.compile(r"[A-Z0-9][A-Z0-9_.:*{}()-]*|[A-Za-z]+=[\w,.-]+|\w+\([\w;,/ ]+\)")


@dataclass(frozen=True)
class Column:
    """A column and the kind of its cells.

    Attributes:
        name: Its name, or its number (from 1) if there is no header.
        kind: The kind of its cells.
        example: The first cell that is not empty, shortened.
        separator: The separator of tags, for a column of tags.
    """

    name: Name
    kind: Kind
    example: str
    separator: str = ";"

    def __str__(self) -> str:
        name = f"column {self.name}" if isinstance(self.name, int) else f"'{self.name}'"
        if not self.example:
            return f"{name} (empty)"
        return f"{name} ({self.kind}, such as {self.example!r})"


def describe_column(name: Name, cells: Sequence[Any]) -> Column:
    """Describe the contents of a column.

    >>> describe_column(3, ["N;PL;DAT", "N;SG;NOM", "N;SG;DAT"] * 9).kind
    'tags'
    >>> describe_column("date", ["2024-01-03", "2024-02-11"]).kind
    'date'
    """
    found = [cell for cell in cells if not _is_empty(cell)]
    if not found:
        return Column(name, "empty", "")
    example = _example(found[0])
    if not all(isinstance(cell, str) for cell in found):
        return Column(name, _kind_of_values(found), example)
    separator = _tag_separator(found)
    if len(found) < 0.98 * len(cells):
        return Column(name, "partly empty", example)
    return Column(name, _kind(name, found, separator), example, separator or ";")


def _kind_of_values(cells: Sequence[Any]) -> Kind:
    """Return the kind of JSON cells that are not all text."""
    if all(isinstance(cell, list) and all(isinstance(x, str) for x in cell) for cell in cells):
        parts = [part for cell in cells for part in cell]
        return _files(parts) or "text"
    if all(isinstance(cell, str | int | float) and not isinstance(cell, bool) for cell in cells):
        return "number"
    return "other"


def _kind(name: Name, cells: Sequence[str], tag_separator: str | None) -> Kind:
    texts = [cell.strip() for cell in cells]
    files = _files(texts)
    if files is not None:
        return files
    counts = Counter(texts)
    if str(name).lower() == "split" or (len(counts) > 1 and _are_splits(counts)):
        return "split"
    if _mostly(texts, _ADDRESS.fullmatch):
        return "address"
    if _mostly(texts, _DATE.fullmatch):
        return "date"
    if _mostly(texts, _NUMBER.fullmatch):
        return "index" if _are_indices(texts) else "number"
    if len(counts) == 1 and len(texts) > 4:
        return "one value"
    if _are_keys(texts):
        return "key"
    if tag_separator is not None:
        return "tags"
    closed = len(texts) >= 20 and len(counts) <= min(20, len(texts) // 10)
    return "labels" if closed and all(len(text.split()) <= 3 for text in counts) else "text"


def _files(cells: Sequence[str]) -> Kind | None:
    """Return the kind of cells that name image or audio files (several if separated by spaces)."""
    names = [re.sub(r"#\w+$", "", cell.strip()).lower() for cell in cells]
    if _mostly(names, lambda name: name.endswith(PICTURE_ENDINGS)):
        return "pictures"
    return "recordings" if _mostly(names, lambda name: name.endswith(SOUND_ENDINGS)) else None


def _are_splits(values: Counter[str]) -> bool:
    known = {name for names in SPLIT_NAMES.values() for name in names}
    return all(value.lower() in known for value in values)


def _are_indices(cells: Sequence[str]) -> bool:
    numbers = [int(cell) for cell in cells if cell.isdecimal()]
    steps = [b - a for a, b in pairwise(numbers)]
    return len(numbers) == len(cells) and sum(step > 0 for step in steps) >= MOST * len(steps)


def _are_keys(cells: Sequence[str]) -> bool:
    """Return whether all cells are distinct names with a number, in the same pattern."""
    if len(cells) < 5 or len(set(cells)) < len(cells) or any(" " in cell for cell in cells):
        return False
    shapes = Counter(re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", cell)) for cell in cells)
    shape, count = shapes.most_common(1)[0]
    return "9" in shape and count >= 0.9 * len(cells)


def _tag_separator(cells: Sequence[str]) -> str | None:
    """Return the separator of the tags in cells; None if they are not tags.

    Tags are symbols from a small closed set, several in most cells, written as in UniMorph (N;PL)
    or Universal Dependencies (Case=Nom|Number=Sing).
    """
    for separator in TAG_SEPARATORS:
        split = [[part.strip() for part in cell.split(separator)] for cell in cells]
        parts = [part for row in split for part in row if part]
        several = sum(len(row) > 1 for row in split)
        shaped = sum(_TAG.fullmatch(part) is not None for part in parts)
        closed = len(set(parts)) <= max(4, len(parts) // 3)
        if several < 0.6 * len(cells) or shaped < MOST * len(parts) or not closed:
            continue
        if all(any(letter.isalpha() for letter in cell) for cell in cells) and separator != " ":
            return separator
    return None


def _mostly(cells: Sequence[str], fits: Callable[[str], Any]) -> bool:
    return sum(bool(fits(cell)) for cell in cells) >= MOST * len(cells)


def _is_empty(cell: Any) -> bool:
    return cell is None or cell == [] or (isinstance(cell, str) and not cell.strip())


def _example(cell: Any) -> str:
    text = str(cell[0] if isinstance(cell, list) else cell)
    return text if len(text) <= 24 else f"{text[:23]}…"


def choose_sides(columns: Sequence[Column]) -> tuple[Column, Column] | None:
    """Choose source and target by the contents of columns, then by known names, then by order.

    Returns:
        The two columns; None if there are not two.
    """
    usable = [column for column in columns if column.kind in RANKS]
    if len(usable) < 2:
        return None
    best = sorted(usable, key=lambda c: (RANKS[c.kind], usable.index(c)))
    named = [c for c in usable if RANKS[c.kind] <= RANKS["date"]]
    source, target = _first_named(named, SOURCE_NAMES), _first_named(named, TARGET_NAMES)
    if source is None:
        source = next(c for c in best if c is not target)
    if target is None:
        target = next(c for c in best if c is not source)
        swapped = usable.index(target) < usable.index(source)
        if swapped and _first_named(named, SOURCE_NAMES) is None:
            source, target = target, source
    return source, target


def _first_named(columns: Sequence[Column], names: Sequence[str]) -> Column | None:
    of_name = {str(column.name).lower(): column for column in reversed(columns)}
    return next((of_name[name] for name in names if name in of_name), None)
