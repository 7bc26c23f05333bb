"""Detect what a file or a folder of texts contains: its format, both sides, its splits.

Recognises common names: ``train.en.gz`` with ``train.de.gz`` and ``val.en.gz``;
``kor_train.tsv`` with ``kor_dev.tsv``; ``src-train.txt`` with ``tgt-train.txt``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from kochi.data.lines import LONGEST_DOCUMENT, lines
from kochi.data.tables import TableForm
from kochi.errors import UserError
from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.columns import TEXTS, Column, Name, choose_sides
from kochi.modalities.detection.encodings import detect_encoding
from kochi.modalities.detection.header import SOURCE_NAMES, TARGET_NAMES
from kochi.modalities.detection.names import SPLIT_NAMES, WITHOUT_TARGETS, split_of, splits_beside
from kochi.modalities.detection.sample import MOST, Sample, take_sample

_NOT_SIDES = ("tsv", "txt", "csv", "md", "py", "log", "pdf", "png", "jpg", "zip", "tar", "npz")
_NOT_SIDES = (*_NOT_SIDES, "xml", "toml", "yml")
TABLES = ("tsv", "csv", "txt", "jsonl", "ndjson", "json", "trn")


@dataclass(frozen=True)
class Found:
    """The detected data. ``splits`` maps "train", "dev", "test" to one file, or two if parallel.

    Attributes:
        kind: "tsv", "jsonl" or "parallel".
        splits: The files of each split.
        source: The name or number (from 1) of a column, or the name of a field; for parallel files
            the part that distinguishes the two file names ("en", "de").
        target: Likewise.
        form: The format of the files.
        tags: The columns of tags.
        tags_separator: The separator of tags.
        notes: Assumptions that were made, for the user.
    """

    kind: str
    splits: dict[str, tuple[Path, ...]]
    source: Name
    target: Name
    form: TableForm = field(default=TableForm())
    tags: tuple[Name, ...] = ()
    tags_separator: str = ";"
    notes: tuple[str, ...] = ()


def find_data(path: Path, choices: Choices | None = None) -> Found:
    """Detect what ``path`` (a file, or a folder that contains one data set) is.

    Raises:
        UserError: There are no data, one side is missing, or there are several interpretations.
    """
    choices = choices or Choices()
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; expected pairs of text")
    if path.is_dir():
        path = main_file(path)
    sibling = other_side(path)
    if sibling is not None and not _has_tabs(path, choices):
        return _found_parallel(path, sibling, choices)
    sample = take_sample(path, choices)
    if sample is not None:
        return _found_table(sample, choices)
    raise UserError(
        f"{path}: only one side found; expected a tab (or , ; |) between source and target, JSON "
        "objects, or a second file beside it (such as train.en and train.de); --separator names "
        "another separator"
    )


def _has_tabs(path: Path, choices: Choices) -> bool:
    encoding = choices.encoding or detect_encoding(path)[0]
    found = lines(path, encoding, longest=LONGEST_DOCUMENT)
    first = [line for line in islice(found, MOST) if line.strip()]
    json = path.name.removesuffix(".gz").endswith((".json", ".jsonl", ".ndjson"))
    return json or choices.separator is not None or all("\t" in line for line in first)


def _bare_name(path: Path) -> str:
    return path.name.removesuffix(".gz").lower()


# ------------------------------------------------------------------------------- files of a folder


def main_file(folder: Path) -> Path:
    """Choose the main file of a folder: the training file, or the only file.

    Raises:
        UserError: There is none, or there are several.
    """
    files = sorted(p for p in folder.iterdir() if p.is_file() and _is_data(p))
    if not files:
        raise UserError(
            f"{folder}: no data files found; expected .tsv, .csv, .jsonl, .json, .trn or a "
            "parallel pair"
        )
    training = [p for p in files if split_of(p) == "train"] or files
    chosen: list[Path] = []
    for file in training:
        other = other_side(file)
        if other is None or other not in chosen:
            chosen.append(file)
    if len(chosen) > 1:
        names = ", ".join(p.name for p in chosen[:6]) + (", ..." if len(chosen) > 6 else "")
        raise UserError(
            f"{folder}: holds several data sets ({names}); name the training file, "
            f"such as 'kochi init {chosen[0]}'"
        )
    return chosen[0]


def _is_data(path: Path) -> bool:
    name = _bare_name(path)
    if name.startswith((".", "readme", "license", "source.md")):
        return False
    last = name.rpartition(".")[2]
    named = split_of(path) is not None and "." not in name  # german-train-low
    return last in TABLES or named or _is_side(last) or last in SPLIT_NAMES["train"]


# ---------------------------------------------------------------------------------- parallel files


def other_side(path: Path) -> Path | None:
    """Return the only file whose name differs from ``path``'s in nothing but the side, or None."""
    found = [p for p in sorted(path.parent.iterdir()) if p.is_file() and _sides(path, p)]
    return found[0] if len(found) == 1 else None


def _sides(first: Path, second: Path) -> tuple[str, str] | None:
    """Return the difference, ("en", "de"), if it is a single word and looks like a side's name."""
    parts = [re.split(r"([._-])", _bare_name(p)) for p in (first, second)]
    if len(parts[0]) != len(parts[1]):
        return None
    different = [(a, b) for a, b in zip(*parts, strict=True) if a != b]
    if len(different) != 1 or not all(_is_side(word) for word in different[0]):
        return None
    return different[0]


def _is_side(word: str) -> bool:
    if any(word in names for names in SPLIT_NAMES.values()) or word in _NOT_SIDES:
        return False
    return word in SOURCE_NAMES or word in TARGET_NAMES or bool(re.fullmatch("[a-z]{2,3}", word))


def parallel_files(path: Path, sibling: Path) -> tuple[dict[str, tuple[Path, ...]], str, str]:
    """Return the files of each split, source first, and both sides' names in file names."""
    sides = _sides(path, sibling)
    assert sides is not None
    if sides[0] in TARGET_NAMES or sides[1] in SOURCE_NAMES:
        path, sibling, sides = sibling, path, (sides[1], sides[0])
    sources, targets = splits_beside(path), splits_beside(sibling)
    return {s: (sources[s], targets[s]) for s in sources if s in targets}, *sides


def _found_parallel(path: Path, sibling: Path, choices: Choices) -> Found:
    if choices.tags or choices.header is not None:
        raise UserError(f"{path}: parallel files have no columns: --tags and --header do not apply")
    splits, source, target = parallel_files(path, sibling)
    wanted = choices.source, choices.target
    if wanted in ((target, None), (None, source), (target, source)):
        splits = {split: (two, one) for split, (one, two) in splits.items()}
        source, target = target, source
    elif any(want not in (None, side) for want, side in zip(wanted, (source, target), strict=True)):
        raise UserError(
            f"{path}: no side {choices.source or choices.target!r}; the sides are {source!r} and "
            f"{target!r}"
        )
    encoding, note = choices.encoding, None
    if encoding is None:
        encoding, note = detect_encoding(splits["train"][0])
    one, two = splits["train"]
    notes = [f"{one.name} is the source and {two.name} the target; to swap: --source {target}"]
    form = TableForm(encoding=encoding)
    return Found("parallel", splits, source, target, form, notes=(*filter(None, (note,)), *notes))


# ------------------------------------------------------------------------------- tables and objects


def _found_table(sample: Sample, choices: Choices) -> Found:
    source, target = sides_of(sample, choices)
    tags = _tags_of(sample, choices, {source.name, target.name})
    splits = {split: (file,) for split, file in splits_beside(sample.path).items()}
    splits, missing = _with_targets(sample, splits, target)
    used = {source.name, target.name, *(column.name for column in tags)}
    separator = tags[0].separator if tags else ";"
    return Found(
        "jsonl" if sample.json else "tsv",
        splits,
        source.name,
        target.name,
        sample.form,
        tuple(column.name for column in tags),
        separator,
        (*table_notes(sample, used), *missing),
    )


def sides_of(sample: Sample, choices: Choices) -> tuple[Column, Column]:
    """Choose source and target of a table.

    Raises:
        UserError: There are no two suitable columns, or a requested column does not exist.
    """
    wanted = {side: getattr(choices, side) for side in ("source", "target")}
    given = {side: sample.column(name) for side, name in wanted.items() if name is not None}
    left = [column for column in sample.columns if column not in given.values()]
    if choices.tags:
        left = [column for column in left if str(column.name) not in choices.tags]
    if sample.json:
        left = [column for column in left if column.kind not in ("number", "other")]
    if len(given) == 2:
        if given["source"] is given["target"]:
            raise UserError(f"{sample.path}: source and target are both {given['source']}")
        return given["source"], given["target"]
    for side, other in (("source", "target"), ("target", "source")):
        if side in given:
            chosen = choose_sides([given[side], *left]) if left else None
            rest = [c for c in chosen or () if c is not given[side]] or left
            if not rest:
                raise _one_side(sample)
            pair = given[side], rest[0]
            return pair if other == "target" else (pair[1], pair[0])
    chosen = choose_sides(left)
    if chosen is None:
        raise _one_side(sample)
    return chosen


def _one_side(sample: Sample) -> UserError:
    what = "fields" if sample.json else "columns"
    found = "; ".join(map(str, sample.columns)) or "none"
    return UserError(
        f"{sample.path}:1: found {what} {found}; expected two, a source and a target; name them "
        "with --source and --target"
    )


def _tags_of(sample: Sample, choices: Choices, sides: set[Name]) -> list[Column]:
    if choices.tags is not None:
        return [sample.column(name) for name in choices.tags]
    chosen = {column.name: column for column in sample.columns}
    if not all(chosen[side].kind in TEXTS for side in sides):
        return []
    return [c for c in sample.columns if c.kind == "tags" and c.name not in sides][:1]


def _with_targets(
    sample: Sample, splits: dict[str, tuple[Path, ...]], target: Column
) -> tuple[dict[str, tuple[Path, ...]], list[str]]:
    """Drop splits whose file has no column of targets, as the test data of shared tasks."""
    kept, notes = dict(splits), []
    for split in ("dev", "test"):
        if split not in splits or sample.json:
            continue
        rows = take_sample(splits[split][0], _same(sample))
        same = rows is not None and rows.form.separator == sample.form.separator
        if rows is None or not same or target.name not in rows.names:
            del kept[split]
            notes.append(f"{splits[split][0].name} has no column of targets: it is not used")
    return kept, notes


def _same(sample: Sample) -> Choices:
    return Choices(header=sample.header, encoding=sample.form.encoding)


def table_notes(sample: Sample, used: set[Name]) -> tuple[str, ...]:
    """Describe how a table is read: its format, its header, and the unused columns."""
    read = f"read as {sample}"
    return read, *sample.notes, *_header_notes(sample), *_unused_notes(sample, used)


def _header_notes(sample: Sample) -> list[str]:
    """Describe what was taken for the header, and how to override it."""
    if sample.json:
        return []
    shown = " | ".join(cell if len(cell) <= 24 else f"{cell[:23]}…" for cell in sample.first_row)
    if sample.header:
        return [f"the first row is the header: {shown}; if it is data: --no-header"]
    return [f"no header, the first row is data: {shown}; if it is a header: --header"]


def _unused_notes(sample: Sample, used: set[Name]) -> list[str]:
    """List the unused columns."""
    unused = [str(column) for column in sample.columns if column.name not in used]
    if not unused:
        return []
    what = "fields" if sample.json else "columns"
    hint = "--source, --target or --tags" if not sample.json else "--source or --target"
    return [f"{what} not used: {'; '.join(unused)}; to use one: {hint}"]


def listed_files(folder: Path) -> Iterator[Path]:
    """Iterate over the files of a folder that may be tables, except texts beside media files."""
    for path in sorted(folder.iterdir()):
        last = _bare_name(path).rpartition(".")[2]
        if path.is_file() and last in TABLES and last != "txt" and WITHOUT_TARGETS not in path.name:
            yield path
