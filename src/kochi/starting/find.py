"""Find out what a file or a folder holds: its form, its two sides, its splits.

Names are read as people write them: ``train.en.gz`` beside ``train.de.gz`` and ``val.en.gz``;
``kor_train.tsv`` beside ``kor_dev.tsv``; ``src-train.txt`` beside ``tgt-train.txt``.
"""

import json
import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from kochi.data.lines import lines
from kochi.errors import UserError

SPLIT_NAMES = {
    "train": ("train", "training", "trn"),
    "dev": ("dev", "val", "valid", "validation", "development", "tune"),
    "test": ("test", "tst", "eval"),
}
SOURCE_NAMES = ("source", "src", "input", "word", "text", "question", "grapheme", "graphemes")
TARGET_NAMES = (
    *("target", "tgt", "trg", "output", "phones", "phonemes", "pronunciation", "transcription"),
    *("translation", "label", "answer", "normalized", "normalised", "summary"),
)
_NOT_SIDES = ("tsv", "txt", "csv", "md", "py", "log", "pdf", "png", "jpg", "zip", "tar", "npz")
_PEEK = 100
_WORD = re.compile(r"[A-Za-z]+")


@dataclass(frozen=True)
class Found:
    """What was found. ``splits`` maps "train", "dev", "test" to one file, or two if parallel.

    ``source`` and ``target`` are column names, column numbers from 1, or field names; for parallel
    files they are what tells the two file names apart ("en", "de"). ``notes`` say what was assumed.
    """

    kind: str
    splits: dict[str, tuple[Path, ...]]
    source: str | int
    target: str | int
    notes: tuple[str, ...] = field(default=())


def find_data(path: Path) -> Found:
    """Tell what ``path`` (a file, or a folder that holds one data set) is.

    Raises:
        UserError: Nothing is there, one side is missing, or several readings are possible.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; expected pairs of text")
    if path.is_dir():
        path = _main_file(path)
    first = list(islice(lines(path), _PEEK))
    if not first:
        raise UserError(f"{path}: is empty; expected one pair of source and target a line")
    bare = _bare_name(path)
    if bare.endswith((".jsonl", ".ndjson", ".json")) or first[0].lstrip().startswith("{"):
        return _found_jsonl(path, first)
    sibling = _other_side(path)
    if sibling is not None and not all("\t" in line for line in first):
        return _found_parallel(path, sibling)
    if "\t" in first[0]:
        return _found_tsv(path, first)
    raise UserError(
        f"{path}: only one side found; expected a tab between source and target, JSON objects, "
        "or a second file beside it (such as train.en and train.de)"
    )


def _bare_name(path: Path) -> str:
    return path.name.removesuffix(".gz").lower()


def _main_file(folder: Path) -> Path:
    """Choose the file of a folder to start from: the training file, or the only one."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and _is_data(p))
    if not files:
        raise UserError(f"{folder}: no data files found; expected .tsv, .jsonl or a parallel pair")
    training = [p for p in files if _split_of(p) == "train"] or files
    chosen: list[Path] = []
    for file in training:
        other = _other_side(file)
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
    if name.startswith((".", "readme", "license")):
        return False
    last = name.rpartition(".")[2]
    return last in ("tsv", "txt", "jsonl", "ndjson", "json") or _is_side(last)


def _split_of(path: Path) -> str | None:
    words = {word.lower() for word in _WORD.findall(path.name)}
    return next((s for s, names in SPLIT_NAMES.items() if words.intersection(names)), None)


def _other_side(path: Path) -> Path | None:
    """Return the one file whose name differs from ``path``'s in the side alone, if there is one."""
    found = [p for p in sorted(path.parent.iterdir()) if p.is_file() and _sides(path, p)]
    return found[0] if len(found) == 1 else None


def _sides(first: Path, second: Path) -> tuple[str, str] | None:
    """Return what differs, ("en", "de"), if it is one word and looks like the name of a side."""
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


def splits_beside(path: Path) -> dict[str, Path]:
    """Find the dev and test files that are named as the training file ``path`` is."""
    for word in _WORD.finditer(path.name):
        if word.group().lower() in SPLIT_NAMES["train"]:
            before, after = path.name[: word.start()], path.name[word.end() :]
            break
    else:
        return {"train": path}
    splits = {"train": path}
    for split in ("dev", "test"):
        names = "|".join(SPLIT_NAMES[split])
        pattern = re.compile(
            rf"{re.escape(before)}(?:{names})(?:[_-]\w+)?{re.escape(after)}", re.IGNORECASE
        )
        matches = [p for p in path.parent.iterdir() if pattern.fullmatch(p.name)]
        if matches:
            splits[split] = min(matches, key=lambda p: (len(p.name), p.name))
    return splits


def _found_parallel(path: Path, sibling: Path) -> Found:
    sides = _sides(path, sibling)
    assert sides is not None
    if sides[0] in TARGET_NAMES or sides[1] in SOURCE_NAMES:
        path, sibling, sides = sibling, path, (sides[1], sides[0])
    sources, targets = splits_beside(path), splits_beside(sibling)
    splits = {s: (sources[s], targets[s]) for s in sources if s in targets}
    note = f"{path.name} is the source and {sibling.name} the target; swap them if you want to"
    return Found("parallel", splits, sides[0], sides[1], (note,))


def _found_jsonl(path: Path, first: list[str]) -> Found:
    try:
        record = json.loads(first[0])
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:1: not a JSON object: {error}") from None
    if not isinstance(record, dict):
        raise UserError(f"{path}:1: expected a JSON object a line, found a {type(record).__name__}")
    usable = [key for key, value in record.items() if isinstance(value, str | list)]
    source, target = _choose_sides(path, usable, "fields")
    splits = {split: (file,) for split, file in splits_beside(path).items()}
    return Found("jsonl", splits, source, target)


def _found_tsv(path: Path, first: list[str]) -> Found:
    header = [cell.strip() for cell in first[0].split("\t")]
    splits = {split: (file,) for split, file in splits_beside(path).items()}
    if _is_header(header):
        source, target = _choose_sides(path, header, "columns")
        return Found("tsv", splits, source, target)
    note = "the first row looks like data: columns go by number; if it is a header, use its names"
    return Found("tsv", splits, 1, 2, (note,))


def _is_header(cells: list[str]) -> bool:
    known = {*SOURCE_NAMES, *TARGET_NAMES}
    return len(set(cells)) == len(cells) and any(cell.lower() in known for cell in cells)


def _choose_sides(path: Path, names: list[str], what: str) -> tuple[str, str]:
    """Choose source and target by their names, else the first two."""
    if len(names) < 2:
        raise UserError(f"{path}:1: found {what} {names}; expected two, a source and a target")
    lower = {name.lower(): name for name in reversed(names)}
    source = next((lower[name] for name in SOURCE_NAMES if name in lower), None)
    target = next((lower[name] for name in TARGET_NAMES if name in lower), None)
    source = source or next(name for name in names if name != target)
    target = target or next(name for name in names if name != source)
    return source, target
