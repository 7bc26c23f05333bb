"""Find out what recordings or features lie where, and which column says what."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from kochi.data.manifest import Row, read_rows
from kochi.data.recordings import ENDINGS, sound_files
from kochi.errors import UserError
from kochi.starting.find import SPLIT_NAMES, splits_beside

TEXT_NAMES = ("text", "transcript", "transcription", "sentence", "words", "target")
AUDIO_NAMES = ("audio", "path", "file", "files", "wav", "recording", "filename", "audio_filepath")
KEY_NAMES = ("id", "key", "utterance", "utt", "uttid", "name")
SPLITS = ("train", "dev", "test")
_PEEK = 200


@dataclass(frozen=True)
class Heard:
    """Recordings or features that were found.

    Attributes:
        kind: "sound" or "features".
        splits: A manifest, or a folder of recordings, for each split that is there.
        arrays: The .npz file of each split; of features alone.
        source: The column of recordings or keys; empty for a folder.
        text: The column of text; empty for a folder.
        split_column: The column that tells splits in one manifest apart, or None.
        audio_folder: Where the recordings are, or None for the folder of the manifest.
        joined_by: What separates recordings in a cell, or None.
    """

    kind: str
    splits: dict[str, Path]
    arrays: dict[str, Path]
    source: str = ""
    text: str = ""
    split_column: str | None = None
    audio_folder: Path | None = None
    joined_by: str | None = None


def find_hearing(path: Path) -> Heard | None:
    """Tell what is to be heard at a path (a manifest or a folder); None where nothing is.

    Raises:
        UserError: There are recordings or features, but no text to them, or several readings.
    """
    if path.is_dir():
        manifests = [p for p in sorted(path.iterdir()) if _is_manifest(p)]
        found = [heard for heard in map(_of_manifest, _training(manifests)) if heard]
        if len(found) > 1:
            names = ", ".join(str(heard.splits["train"].name) for heard in found)
            raise UserError(f"{path}: holds several manifests ({names}); name one of them")
        return found[0] if found else _of_folder(path)
    return _of_manifest(path) if _is_manifest(path) else None


def _is_manifest(path: Path) -> bool:
    return path.is_file() and path.name.removesuffix(".gz").endswith((".tsv", ".jsonl"))


def _training(manifests: list[Path]) -> list[Path]:
    """Leave out those that are the dev or test split of another."""
    others = {p for m in manifests for s, p in splits_beside(m).items() if s != "train"}
    return [manifest for manifest in manifests if manifest not in others]


def _of_folder(folder: Path) -> Heard | None:
    """Return recordings with a transcript beside each; of subfolders if they are splits."""
    files = sound_files(folder)
    if not files or not any(p.with_suffix(".txt").exists() for p in files[:_PEEK]):
        return None
    names = {p.name.lower(): p for p in folder.iterdir() if p.is_dir()}
    splits = {}
    for split, words in SPLIT_NAMES.items():
        found = [names[word] for word in words if word in names]
        if found:
            splits[split] = found[0]
    return Heard("sound", splits if "train" in splits else {"train": folder}, {})


def _of_manifest(path: Path) -> Heard | None:
    try:
        rows = list(islice(read_rows(path), _PEEK))
    except UserError:
        return None  # whoever reads pairs of text says what is wrong
    names = list(rows[0].cells)
    splits = splits_beside(path)
    audio = next((n for n in _sorted(names, AUDIO_NAMES) if _is_sound(rows, n)), None)
    if audio is not None:
        column = _split_column(rows, names)
        if column is not None:
            splits = dict.fromkeys(_values(path, column), path)
        folder, joined = _where(path, rows, audio)
        text = _text(path, names, audio)
        return Heard("sound", splits, {}, audio, text, column, folder, joined)
    arrays = {split: _array_file(file) for split, file in splits.items()}
    key = next((name for name in KEY_NAMES if name in names), None)
    if key is None or not all(file.exists() for file in arrays.values()):
        return None
    return Heard("features", splits, arrays, key, _text(path, names, key))


def _array_file(manifest: Path) -> Path:
    return manifest.with_name(manifest.name.removesuffix(".gz").rpartition(".")[0] + ".npz")


def _sorted(names: list[str], known: tuple[str, ...]) -> list[str]:
    """Return the names, known ones first."""
    return [n for n in names if n.lower() in known] + [n for n in names if n.lower() not in known]


def _is_sound(rows: list[Row], column: str) -> bool:
    cells = [row.cells.get(column) for row in rows]
    return all(_parts(cell) and _parts(cell)[-1].lower().endswith(ENDINGS) for cell in cells)


def _parts(cell: Any) -> list[str]:
    if isinstance(cell, list):
        return [str(part) for part in cell]
    return cell.split() if isinstance(cell, str) else []


def _text(path: Path, names: list[str], source: str) -> str:
    for name in _sorted(names, TEXT_NAMES):
        if name.lower() in TEXT_NAMES and name != source:
            return name
    raise UserError(
        f"{path}:1: found recordings or features but no text: expected a column named one of "
        f"{', '.join(TEXT_NAMES)}; found {', '.join(names)}"
    )


def _split_column(rows: list[Row], names: list[str]) -> str | None:
    return next((n for n in names if all(row.cells.get(n) in SPLITS for row in rows)), None)


def _values(path: Path, column: str) -> Iterator[str]:
    found = {str(row.cells.get(column)) for row in read_rows(path)}
    return (split for split in SPLITS if split in found)


def _where(path: Path, rows: list[Row], column: str) -> tuple[Path | None, str | None]:
    """Find the folder that recordings are in, and what separates those of one row.

    Raises:
        UserError: They are in none of the folders beside the manifest.
    """
    row = max(rows, key=lambda row: len(_parts(row.cells[column])))
    cell, parts = row.cells[column], _parts(row.cells[column])
    below = sorted(p for p in path.parent.iterdir() if p.is_dir())
    for folder in (path.parent, *below):
        chosen = None if folder == path.parent else folder
        if isinstance(cell, str) and (folder / cell).is_file():
            return chosen, None
        if all((folder / part).is_file() for part in parts):
            return chosen, " " if len(parts) > 1 and isinstance(cell, str) else None
    raise UserError(
        f"{row.where}: {parts[0]} is neither in {path.parent} nor in a folder of it; put the "
        "recordings there, or write a run file with data.audio_folder"
    )
