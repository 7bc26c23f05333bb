"""What lies beside texts: recordings, features or pictures, in a manifest or in a folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kochi.data.manifest import Row, read_rows
from kochi.errors import UserError
from kochi.starting.find import SPLIT_NAMES, splits_beside

TEXT_NAMES = ("text", "transcript", "transcription", "sentence", "words", "target")
SPLITS = ("train", "dev", "test")
PEEK = 200


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


def find_listed(
    path: Path,
    of_manifest: Callable[[Path], Listed | None],
    of_folder: Callable[[Path], Listed | None],
) -> Listed | None:
    """Look at a manifest, at those of a folder, or at the folder itself.

    Raises:
        UserError: A folder holds several manifests that could be meant.
    """
    if not path.is_dir():
        return of_manifest(path) if _is_manifest(path) else None
    manifests = [p for p in sorted(path.iterdir()) if _is_manifest(p)]
    found = [listed for listed in map(of_manifest, _training(manifests)) if listed]
    if len(found) > 1:
        names = ", ".join(str(listed.splits["train"].name) for listed in found)
        raise UserError(f"{path}: holds several manifests ({names}); name one of them")
    return found[0] if found else of_folder(path)


def _is_manifest(path: Path) -> bool:
    return path.is_file() and path.name.removesuffix(".gz").endswith((".tsv", ".jsonl"))


def _training(manifests: list[Path]) -> list[Path]:
    """Leave out those that are the dev or test split of another."""
    others = {p for m in manifests for s, p in splits_beside(m).items() if s != "train"}
    return [manifest for manifest in manifests if manifest not in others]


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


def known_first(names: list[str], known: tuple[str, ...]) -> list[str]:
    """Return the names of columns, known ones first.

    >>> known_first(["who", "Audio"], ("audio",))
    ['Audio', 'who']
    """
    return [n for n in names if n.lower() in known] + [n for n in names if n.lower() not in known]


def parts_of(cell: Any) -> list[str]:
    """Return the paths in a cell."""
    if isinstance(cell, list):
        return [str(part) for part in cell]
    return cell.split() if isinstance(cell, str) else []


def text_column(path: Path, names: list[str], source: str, known: tuple[str, ...]) -> str:
    """Name the column of text.

    Raises:
        UserError: None has a name of such a column.
    """
    for name in known_first(names, known):
        if name.lower() in known and name != source:
            return name
    raise UserError(
        f"{path}:1: found column '{source}' but no text: expected a column named one of "
        f"{', '.join(known)}; found {', '.join(names)}"
    )


def splits_of(path: Path, rows: list[Row]) -> tuple[dict[str, Path], str | None]:
    """Return the splits of a manifest, and the column that tells them apart if they are in it."""
    column = next((n for n in rows[0].cells if all(r.cells.get(n) in SPLITS for r in rows)), None)
    if column is None:
        return splits_beside(path), None
    return dict.fromkeys(_values(path, column), path), column


def _values(path: Path, column: str) -> Iterator[str]:
    found = {str(row.cells.get(column)) for row in read_rows(path)}
    return (split for split in SPLITS if split in found)


def folder_of(
    path: Path, rows: list[Row], column: str, what: str
) -> tuple[Path | None, str | None]:
    """Find the folder that a manifest's files are in, and what separates those of one row.

    Args:
        path: The manifest.
        rows: Some of its rows.
        column: That of the files.
        what: What the files are, for the message, and the option that names their folder.

    Raises:
        UserError: They are in none of the folders beside the manifest.
    """
    row = max(rows, key=lambda row: len(parts_of(row.cells[column])))
    cell, parts = row.cells[column], parts_of(row.cells[column])
    below = sorted(p for p in path.parent.iterdir() if p.is_dir())
    for folder in (path.parent, *below):
        chosen = None if folder == path.parent else folder
        if isinstance(cell, str) and (folder / cell).is_file():
            return chosen, None
        if all((folder / part).is_file() for part in parts):
            return chosen, " " if len(parts) > 1 and isinstance(cell, str) else None
    files, option = what.split(" in ")
    raise UserError(
        f"{row.where}: {parts[0]} is neither in {path.parent} nor in a folder of it; put the "
        f"{files} there, or write a run file with {option}"
    )
