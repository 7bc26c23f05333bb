"""Pairs of text from tables, JSON, parallel files or Hugging Face data sets."""

import importlib
import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from kochi.data.left_out import Bad, usable
from kochi.data.lines import lines
from kochi.data.pair import Pair
from kochi.data.records import get_field, json_type, read_records
from kochi.data.tables import form_of, read_cells, read_header
from kochi.data.tags import with_tags
from kochi.errors import UserError
from kochi.extras import need
from kochi.modalities.tables import Column
from kochi.modalities.text.tables import HuggingFaceData, JsonlData, TsvData
from kochi.reading import parsing

SURROGATE = re.compile("[\ud800-\udfff]")


def read_tsv(path: Path, data: TsvData, bad: Bad) -> Iterator[Pair]:
    """Stream the rows of a table."""
    form = form_of(data)
    targets, tags = _listed(data.target_column), _listed(data.tags_column)
    columns = [data.source_column, *targets, *tags]
    rows = read_cells(path, form)
    width = None
    if all(isinstance(column, int) for column in columns):
        places = [int(column) - 1 for column in columns]
    else:
        header = read_header(path, rows, form)
        places = [_tsv_place(path, header, column) for column in columns]
        width = len(header)
    source, target_places = places[0], places[1 : 1 + len(targets)]
    tag_places = places[1 + len(targets) :]
    needed = max(places) + 1
    for number, cells in rows:
        if len(cells) < needed or (width is not None and len(cells) > width):
            what = "one side is missing: " if len(cells) < (width or needed) else ""
            bad(
                UserError(
                    f"{path}:{number}: {what}found {len(cells)} cells, expected {width or needed} "
                    f"separated by {form.separated_by}"
                )
            )
            continue
        text = cells[source]
        if not text or text.isspace():
            bad(UserError(f"{path}:{number}: the source (column {source + 1}) is empty"))
            continue
        references = tuple([c for c in [cells[t] for t in target_places] if c and not c.isspace()])
        if not references:
            places_text = ", ".join(str(target + 1) for target in target_places)
            bad(UserError(f"{path}:{number}: the target (column {places_text}) is empty"))
            continue
        if tags:
            text = with_tags(text, data.tags_separator.join(cells[t] for t in tag_places))
        yield Pair(text, references)


def _listed(columns: Column | list[Column] | None) -> list[Column]:
    if columns is None:
        return []
    return columns if isinstance(columns, list) else [columns]


def _tsv_place(path: Path, header: list[str], column: str | int) -> int:
    if isinstance(column, int):
        raise UserError(
            f"{path}: column {column} is a number (no header) but others are names; use either"
        )
    if header.count(column) != 1:
        found = "occurs twice" if column in header else "is missing"
        raise UserError(
            f"{path}:1: column '{column}' {found}; found: {', '.join(header)}; set "
            "data.source_column and data.target_column to names, or to numbers if no header"
        )
    return header.index(column)


def read_jsonl(path: Path, data: JsonlData, bad: Bad) -> Iterator[Pair]:
    """Stream JSON objects."""
    records = read_records(path, data.encoding, bad)
    yield from usable(records, lambda record: _pair_from_fields(record[1], data, record[0]), bad)


def _pair_from_fields(row: dict[str, Any], data: JsonlData | HuggingFaceData, where: str) -> Pair:
    name = data.target_field
    source = _checked_text(get_field(row, data.source_field, where), data.source_field, where)
    if data.tags_field is not None:
        tags = get_field(row, data.tags_field, where)
        listed = tags if isinstance(tags, list) else [tags]
        source = with_tags(source, data.tags_separator.join(map(str, filter(None, listed))))
    target = get_field(row, name, where)
    if not isinstance(target, list):
        return Pair(source, (_checked_text(target, name, where),))
    if not target:
        raise UserError(f"{where}: field '{name}' is an empty list; expected references")
    return Pair(source, tuple([_checked_text(text, name, where) for text in target]))


def _checked_text(value: Any, field: str, where: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"{where}: field '{field}' is {json_type(value)}, expected text")
    if not value or value.isspace():
        raise UserError(f"{where}: field '{field}' is empty")
    if "\0" in value or SURROGATE.search(value):
        what = "a NUL character" if "\0" in value else "half of a surrogate pair"
        raise UserError(f"{where}: field '{field}' has {what}; expected text; remove it")
    return value


def read_parallel(paths: list[Path], encoding: str, bad: Bad) -> Iterator[Pair]:
    """Read lines in parallel, sources first; lines that are blank in every file are skipped."""
    streams = [lines(path, encoding) for path in paths]
    for number, row in enumerate(zip_longest(*streams), 1):
        if not any(text and not text.isspace() for text in row):
            continue
        if None in row:
            raise _unequal_error(paths, streams, row, number)
        empty = [p for p, text in zip(paths, row, strict=True) if not text or text.isspace()]
        if empty:
            bad(UserError(f"{empty[0]}:{number}: empty line; remove this line from every file"))
            continue
        yield Pair(row[0], row[1:])


def _unequal_error(
    paths: list[Path], streams: list[Iterator[str]], row: tuple[str | None, ...], number: int
) -> UserError:
    counts = [
        number - 1 if text is None else number + sum(1 for _ in stream)
        for text, stream in zip(row, streams, strict=True)
    ]
    found = ", ".join(f"{path} has {count}" for path, count in zip(paths, counts, strict=True))
    return UserError(f"unequal parallel files: {found} lines; line n must be one pair in all")


def read_huggingface(data: HuggingFaceData, split: str, bad: Bad) -> Iterator[Pair]:
    """Stream the rows of a data set of the Hugging Face hub, or of local files."""
    need("datasets")
    library = importlib.import_module("datasets")
    with parsing(f"data set {data.name} ({split})", "a data set", "check the data table"):
        rows = library.load_dataset(
            data.name, data.configuration, data_files=data_files(data) or None, split=split
        )

    def pair(item: tuple[int, Any]) -> Pair:
        where = f"{data.name} ({split}) row {item[0]}"
        if not isinstance(item[1], dict):
            raise UserError(f"{where}: found {json_type(item[1])}, expected an object with fields")
        return _pair_from_fields(item[1], data, where)

    yield from usable(enumerate(rows, 1), pair, bad)


def data_files(data: HuggingFaceData) -> dict[str, str]:
    """Resolve local files against the data folder; leave patterns and URLs unchanged."""
    found = data.data_files or {}
    return {
        split: str(data.folder / name) if (data.folder / name).is_file() else name
        for split, name in found.items()
    }
