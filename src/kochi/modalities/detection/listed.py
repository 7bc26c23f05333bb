"""Sources that accompany texts: recordings, features or images, in a manifest or in a folder."""

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
COLUMNS = {"sound": "audio", "picture": "image"}  # names of columns and folders


@dataclass(frozen=True)
class Listed:
    """The detected sources.

    Attributes:
        kind: "sound", "features" or "picture".
        splits: A manifest, or a folder of files, for each existing split.
        arrays: The .npz file of each split; for features only.
        source: The column of files or keys; empty for a folder.
        text: The column of text; empty for a folder.
        split_column: The column that gives the split of each row of a manifest, or None.
        folder: The folder of the files, or None for the folder of the manifest.
        joined_by: The separator of recordings in a cell, or None.
        boxes: The column of bounding boxes, or None; for images only.
        times: Options that name the columns of times, such as ``start_column``; for audio only.
        form: The format of the manifests.
        rewrite: Reads a manifest whose layout training does not support, as rows with the columns
            "audio" or "image", "text" and perhaps "split"; None if training supports it.
        notes: Assumptions that were made, for the user.
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
    """Return the folder's subfolders if they are splits, otherwise the folder itself as "train"."""
    names = {p.name.lower(): p for p in folder.iterdir() if p.is_dir()}
    splits = {}
    for split, words in SPLIT_NAMES.items():
        found = [names[word] for word in words if word in names]
        if found:
            splits[split] = found[0]
    return splits if "train" in splits else {"train": folder}


def have_texts(files: list[Path]) -> bool:
    """Return whether there are texts beside the files."""
    return any(path.with_suffix(".txt").exists() for path in files[:PEEK])


def parts_of(cell: Any) -> list[str]:
    """Return the paths in a cell."""
    if isinstance(cell, list):
        return [str(part) for part in cell]
    return cell.split() if isinstance(cell, str) else []


def text_column(
    sample: Sample, source: Name, known: Sequence[str], choices: Choices, last: bool = False
) -> Column:
    """Return the column of text: the requested one, one with a known name, or one of text.

    Args:
        sample: Rows of the manifest.
        source: The column of files.
        known: Common names of such columns.
        choices: The user's choices.
        last: Whether to take the last column of text, not the first.

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
    """Return the splits of a manifest, and the column that distinguishes them, if there is one."""
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
    """Find the folder of a manifest's files, and how its cells name them.

    Searches the folder of the manifest and its subfolders.

    Args:
        sample: Rows of the manifest.
        column: The column of files.
        what: What the files are, for the message, and the option that names their folder.
        endings: Suffixes that may have to be appended to a cell.

    Returns:
        The folder (None for that of the manifest), the separator of the files of a row (or None),
        and the suffix to append to a cell.

    Raises:
        UserError: The files are in none of the folders.
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
