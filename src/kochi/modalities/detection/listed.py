"""What lies beside texts: recordings, features or pictures, in a manifest or in a folder."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kochi.data.left_out import Bad
from kochi.data.manifest import Row, read_rows
from kochi.data.tables import TableForm
from kochi.errors import UserError
from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.columns import RANKS, Column, Name
from kochi.modalities.detection.names import SPLIT_NAMES, splits_beside
from kochi.modalities.detection.sample import Sample

TEXT_NAMES = ("text", "transcript", "transcription", "sentence", "words", "target")
SPLITS = ("train", "dev", "test")
PEEK = 200
COLUMNS = {"sound": "audio", "picture": "image"}  # columns and folders are called after these


@dataclass(frozen=True)
class Listed:
    """What was found beside texts.

    Attributes:
        kind: "sound", "features" or "picture".
        splits: A manifest, or a folder of files, for each split that is there.
        arrays: The .npz file of each split; of features alone.
        source: The column of files or keys; empty for a folder.
        text: The column of text; empty for a folder.
        split_column: The column that tells splits in one manifest apart, or None.
        folder: Where the files are, or None for the folder of the manifest.
        joined_by: What separates recordings in a cell, or None.
        boxes: The column of boxes, or None; of pictures alone.
        times: Options that name the columns of times, such as ``start_column``; of sound alone.
        form: How the manifests are written.
        rewrite: Reads a manifest of a layout that training does not read, as rows with the columns
            "audio" or "image", "text" and perhaps "split"; None where training reads it.
        notes: What was assumed, for the user.
    """

    kind: str
    splits: dict[str, Path]
    arrays: dict[str, Path]
    source: str = ""
    text: str = ""
    split_column: str | None = None
    folder: Path | None = None
    joined_by: str | None = None
    boxes: str | None = None
    times: dict[str, str] = field(default_factory=dict)
    form: TableForm = field(default=TableForm())
    rewrite: Callable[[Path, Bad], Iterator[Row]] | None = None
    notes: tuple[str, ...] = ()


def splits_below(folder: Path) -> dict[str, Path]:
    """Return the folder's own folders if they are splits, else itself as what to train on."""
    names = {p.name.lower(): p for p in folder.iterdir() if p.is_dir()}
    splits = {}
    for split, words in SPLIT_NAMES.items():
        found = [names[word] for word in words if word in names]
        if found:
            splits[split] = found[0]
    return splits if "train" in splits else {"train": folder}


def have_texts(files: list[Path]) -> bool:
    """Say whether files have texts beside them."""
    return any(path.with_suffix(".txt").exists() for path in files[:PEEK])


def parts_of(cell: Any) -> list[str]:
    """Return the paths in a cell."""
    if isinstance(cell, list):
        return [str(part) for part in cell]
    return cell.split() if isinstance(cell, str) else []


def text_column(
    sample: Sample, source: Name, known: Sequence[str], choices: Choices, last: bool = False
) -> Column:
    """Return the column of text: the one asked for, one with a known name, or one that holds text.

    Args:
        sample: Rows of the manifest.
        source: The column of files.
        known: Names of such columns.
        choices: What the user says.
        last: Whether the last one that holds text is taken, not the first.

    Raises:
        UserError: There is none.
    """
    if choices.target is not None:
        return sample.column(choices.target)
    others = [column for column in sample.columns if column.name != source]
    for name in known:
        for column in others:
            if str(column.name).lower() == name:
                return column
    ranked = [c for c in others if c.kind in RANKS and RANKS[c.kind] <= RANKS["number"]]
    if ranked:
        best = min(RANKS[column.kind] for column in ranked)
        equal = [column for column in ranked if RANKS[column.kind] == best]
        return equal[-1 if last else 0]
    raise UserError(
        f"{sample.path}:1: found column '{source}' but no text: expected a column named one of "
        f"{', '.join(known)}; found {', '.join(map(str, sample.names))}; --target names another"
    )


def splits_of(sample: Sample) -> tuple[dict[str, Path], str | None]:
    """Return the splits of a manifest, and the column that tells them apart if they are in it."""
    path = sample.path
    column = next((c for c in sample.columns if _holds_splits(sample, c)), None)
    if column is None:
        return splits_beside(path), None
    name = str(column.name)
    found = {str(row.cells.get(name)) for row in read_rows(path, sample.form)}
    return {split: path for split in SPLITS if split in found}, name


def _holds_splits(sample: Sample, column: Column) -> bool:
    return all(row.get(column.name) in SPLITS for row in sample.rows)


def folder_of(
    sample: Sample, column: Name, what: str, endings: Sequence[str] = ("",)
) -> tuple[Path | None, str | None, str]:
    """Find the folder that a manifest's files are in, and how a cell names them.

    The folder of the manifest and those in it are tried.

    Args:
        sample: Rows of the manifest.
        column: That of the files.
        what: What the files are, for the message, and the option that names their folder.
        endings: What may have to be put behind a cell.

    Returns:
        The folder (None for that of the manifest), what separates the files of one row (or None),
        and what has to be put behind a cell.

    Raises:
        UserError: They are in none of the folders.
    """
    path = sample.path
    rows = [row[column] for row in sample.rows if row.get(column)]
    cell = max(rows, key=lambda cell: len(parts_of(cell)))
    parts = parts_of(cell)
    below = sorted(p for p in path.parent.iterdir() if p.is_dir())
    for folder in (path.parent, *below):
        chosen = None if folder == path.parent else folder
        for ending in endings:
            if isinstance(cell, str) and (folder / f"{cell}{ending}").is_file():
                return chosen, None, ending
        if all((folder / part).is_file() for part in parts):
            return chosen, " " if len(parts) > 1 and isinstance(cell, str) else None, ""
    files, option = what.split(" in ")
    raise UserError(
        f"{path}: {parts[0]} is neither in {path.parent} nor in a folder of it; put the "
        f"{files} there, or write a run file with {option}"
    )
