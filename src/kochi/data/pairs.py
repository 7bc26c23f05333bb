"""Pairs, streamed from tables, parallel files, JSON, Hugging Face data sets or manifests.

Everything wrong with the input is one `UserError` that names file and line.
"""

import importlib
import os
import re
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from kochi import config
from kochi.contents import File
from kochi.data.boxes import WordBoxes, row_boxes
from kochi.data.left_out import Bad, nothing_left, refuse, usable
from kochi.data.lines import lines
from kochi.data.manifest import Row, read_rows
from kochi.data.pictures import folder_pictures, picture_files, row_picture, row_texts
from kochi.data.readers.rows import FeatureRow
from kochi.data.recordings import folder_recordings, row_recording, sound_files
from kochi.data.records import get_field, json_type, read_records
from kochi.data.tables import form_of, read_cells, read_header
from kochi.data.tags import with_tags
from kochi.errors import UserError
from kochi.normal_forms import normalize
from kochi.picture.files import Picture
from kochi.reading import parsing
from kochi.sound.files import Recording

Split = Literal["train", "dev", "test"]
SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Pair:
    """One source and its right answers (one in training data).

    Attributes:
        source: Text (with its tags, as `kochi.data.tags.with_tags` writes them); or what the data's
            kind reads: a `FeatureRow`, a recording, a picture.
        references: The right answers.
        where: File and line that it stands in; of sources that are not text.
        boxes: Where each word of the first answer is to be seen, if that is known.
        grouped: The rows that were put together, in their order; empty where it is a single row.
    """

    source: Any
    references: tuple[str, ...]
    where: str = field(default="", compare=False)
    boxes: WordBoxes = ()
    grouped: tuple["Pair", ...] = field(default=(), compare=False)

    @property
    def rows(self) -> tuple["Pair", ...]:
        """Return the rows of the data that the pair stands for, each with answers of its own."""
        return self.grouped or (self,)


def read_pairs(data: config.Data, split: Split, bad: Bad = refuse) -> Iterator[Pair]:
    """Stream the pairs of a split in the order of the file.

    In training data every reference makes a pair of its own. In dev and test data a pair holds all
    references of a row, and with ``data.group_references`` also those of other rows with the same
    source: the same text as a model reads it, or the same file (array, stretch of a recording). It
    comes in the position of the first of them.

    Args:
        data: The data table of a run.
        split: Which of its splits.
        bad: Called with what is wrong with a row; by default it is raised. A
            `kochi.data.left_out.LeftOut` counts such rows, which are then left out.

    Raises:
        UserError: While streaming, at the first thing wrong with the input.
    """
    pairs = _rows(data, split, bad)
    if split == "train":
        return (
            pair if len(pair.references) == 1 else Pair(pair.source, (reference,), pair.where)
            for pair in pairs
            for reference in pair.references
        )
    return _group(pairs, data) if data.group_references else pairs


def rows_of(data: config.Data, split: Split, bad: Bad = refuse) -> Iterator[Pair]:
    """Stream the rows of a split as they stand: each with all its references, none grouped.

    Raises:
        UserError: As in `read_pairs`.
    """
    return _rows(data, split, bad)


def count_rows(pairs: Iterable[Pair]) -> int:
    """Return how many rows of the data the pairs stand for.

    >>> count_rows([Pair("a", ("b",)), Pair("c", ("d",))])
    2
    """
    return sum(len(pair.rows) for pair in pairs)


def show_counts(rows: int, sources: int) -> str:
    """Say how many sources there are, and how many rows they were made of.

    >>> show_counts(1000, 603), show_counts(30, 30)
    ('1,000 rows, 603 sources', '30 sources')
    """
    counts = "1 source" if sources == 1 else f"{sources:,} sources"
    return counts if rows == sources else f"{rows:,} rows, {counts}"


def split_files(data: config.Data, split: Split) -> list[Path]:
    """Name the local files a split is read from (none for a data set read by its name).

    Raises:
        UserError: The data have no such split.
    """
    value = _split_value(data, split)
    if isinstance(data, config.HuggingFaceData):
        return [path for path in map(Path, _data_files(data).values()) if path.is_file()]
    if isinstance(value, config.FeatureFiles):
        named = [value.manifest] if value.arrays is None else [value.manifest, value.arrays]
        return [data.folder / path for path in named]
    if isinstance(data, config.SoundData) and (data.folder / value).is_dir():
        return [path.with_suffix(".txt") for path in sound_files(data.folder / value)]
    if isinstance(data, config.PictureData) and (data.folder / value).is_dir():
        return [path.with_suffix(".txt") for path in picture_files(data.folder / value)]
    if isinstance(value, config.ParallelFiles):
        targets = value.target if isinstance(value.target, list) else [value.target]
        return [data.folder / path for path in (value.source, *targets)]
    return [data.folder / value]


# ----------------------------------------------------------------------------------------- splits


def _split_value(data: config.Data, split: Split) -> Any:
    value = getattr(data, split)
    if value is None:
        raise UserError(f"data.{split} is not set; name the {split} data in the run file")
    return value


def _rows(data: config.Data, split: Split, bad: Bad) -> Iterator[Pair]:
    value = _split_value(data, split)
    if isinstance(data, config.TsvData):
        rows, name = _read_tsv(data.folder / value, data, bad), str(data.folder / value)
    elif isinstance(data, config.JsonlData):
        rows, name = _read_jsonl(data.folder / value, data, bad), str(data.folder / value)
    elif isinstance(data, config.ParallelData):
        paths = split_files(data, split)
        rows, name = _read_parallel(paths, data.encoding, bad), str(paths[0])
    elif isinstance(data, config.FeaturesData):
        rows, name = _read_features(data, value, split, bad), str(data.folder / value.manifest)
    elif isinstance(data, config.SoundData):
        rows, name = _read_sound(data, value, split, bad), str(data.folder / value)
    elif isinstance(data, config.PictureData):
        rows, name = _read_pictures(data, value, split, bad), str(data.folder / value)
    else:
        rows, name = _read_huggingface(data, value, bad), f"{data.name} ({value})"
    return _refuse_empty(rows, name, bad)


def _refuse_empty(rows: Iterator[Pair], name: str, bad: Bad) -> Iterator[Pair]:
    empty = True
    for pair in rows:
        empty = False
        yield pair
    if empty:
        raise nothing_left(bad, f"{name}: holds no pairs; expected at least one")


def _group(pairs: Iterator[Pair], data: config.Data) -> Iterator[Pair]:
    rows: dict[Hashable, list[Pair]] = {}
    for pair in pairs:
        rows.setdefault(_identity(pair.source, data), []).append(pair)
    return map(_merge, rows.values())


def _identity(source: Any, data: config.Data) -> Hashable:
    """Return what two sources have in common that a model cannot tell apart."""
    if isinstance(data, config.TextData):
        text = normalize(source, data.source.normalization)
        return text.lower() if data.source.lowercase else text
    match source:
        case Recording():
            paths = tuple(map(_normal, source.paths))
            return paths, source.start_seconds or 0.0, source.end_seconds
        case Picture():
            return _normal(source.path)
        case FeatureRow():
            return _normal(source.path), source.key
    return source


def _normal(file: File) -> Hashable:
    return os.path.normpath(file) if isinstance(file, Path) else file


def _merge(rows: list[Pair]) -> Pair:
    """Make one pair of rows with one source; its boxes are those of its first reference."""
    if len(rows) == 1:
        return rows[0]
    first = next((row for row in rows if row.boxes), rows[0])
    texts = dict.fromkeys(text for row in [first, *rows] for text in row.references)
    return Pair(rows[0].source, tuple(texts), rows[0].where, first.boxes, tuple(rows))


# -------------------------------------------------------------------------------------------- TSV


def _read_tsv(path: Path, data: config.TsvData, bad: Bad) -> Iterator[Pair]:
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


def _listed(columns: config.Column | list[config.Column] | None) -> list[config.Column]:
    if columns is None:
        return []
    return columns if isinstance(columns, list) else [columns]


def _tsv_place(path: Path, header: list[str], column: str | int) -> int:
    if isinstance(column, int):
        raise UserError(
            f"{path}: column {column} is a number (no header) but others are names; use either"
        )
    if header.count(column) != 1:
        found = "is there twice" if column in header else "is missing"
        raise UserError(
            f"{path}:1: column '{column}' {found}; found: {', '.join(header)}; set "
            "data.source_column and data.target_column to names, or to numbers if no header"
        )
    return header.index(column)


# ------------------------------------------------------------------------------------------ JSONL


def _read_jsonl(path: Path, data: config.JsonlData, bad: Bad) -> Iterator[Pair]:
    records = read_records(path, data.encoding, bad)
    yield from usable(records, lambda record: _pair_from_fields(record[1], data, record[0]), bad)


def _pair_from_fields(
    row: dict[str, Any], data: config.JsonlData | config.HuggingFaceData, where: str
) -> Pair:
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


# --------------------------------------------------------------------------------- parallel files


def _read_parallel(paths: list[Path], encoding: str, bad: Bad) -> Iterator[Pair]:
    """Read lines side by side, sources first; those that are blank in every file are skipped."""
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


# ----------------------------------------------------------------------------------- Hugging Face


def _read_huggingface(data: config.HuggingFaceData, split: str, bad: Bad) -> Iterator[Pair]:
    try:
        library = importlib.import_module("datasets")
    except ImportError:
        raise UserError(
            "data.kind = 'huggingface' needs the package datasets; install it with: "
            "pip install 'kochi[huggingface]'"
        ) from None
    with parsing(f"data set {data.name} ({split})", "a data set", "check the data table"):
        rows = library.load_dataset(
            data.name, data.configuration, data_files=_data_files(data) or None, split=split
        )

    def pair(item: tuple[int, Any]) -> Pair:
        where = f"{data.name} ({split}) row {item[0]}"
        if not isinstance(item[1], dict):
            raise UserError(f"{where}: found {json_type(item[1])}, expected an object with fields")
        return _pair_from_fields(item[1], data, where)

    yield from usable(enumerate(rows, 1), pair, bad)


def _data_files(data: config.HuggingFaceData) -> dict[str, str]:
    """Resolve local files against the data folder; leave patterns and addresses as they are."""
    found = data.data_files or {}
    return {
        split: str(data.folder / name) if (data.folder / name).is_file() else name
        for split, name in found.items()
    }


# ------------------------------------------------------------------ features, recordings, pictures


def _read_features(
    data: config.FeaturesData, files: config.FeatureFiles, split: Split, bad: Bad
) -> Iterator[Pair]:
    def pair(row: Row) -> Pair:
        cell = row.text(data.key_column)
        if files.arrays is None:
            source = FeatureRow(data.folder / cell, where=row.where)
        else:
            source = FeatureRow(data.folder / files.arrays, cell, row.where)
        return Pair(source, (row.text(data.text_column),), row.where)

    yield from usable(_manifest_rows(data, files.manifest, split, bad), pair, bad)


def _read_sound(data: config.SoundData, value: Path, split: Split, bad: Bad) -> Iterator[Pair]:
    place = data.folder / value
    if place.is_dir():
        for path, text in folder_recordings(place):
            yield Pair(Recording((path,)), (text,), str(path))
        return

    def pair(row: Row) -> Pair:
        return Pair(row_recording(row, data), (row.text(data.text_column),), row.where)

    yield from usable(_manifest_rows(data, value, split, bad), pair, bad)


def _read_pictures(data: config.PictureData, value: Path, split: Split, bad: Bad) -> Iterator[Pair]:
    place = data.folder / value
    if place.is_dir():
        for picture, texts in folder_pictures(place):
            yield Pair(picture, texts, str(picture.path))
        return

    def pair(row: Row) -> Pair:
        texts = row_texts(row, data)
        column = data.boxes_column
        boxes = () if column is None else row_boxes(row, column, texts[0])
        return Pair(row_picture(row, data), texts, row.where, boxes)

    yield from usable(_manifest_rows(data, value, split, bad), pair, bad)


def _manifest_rows(
    data: config.ManifestData, manifest: Path, split: Split, bad: Bad
) -> Iterator[Row]:
    return read_rows(data.folder / manifest, form_of(data), data.split_column, split, bad)
