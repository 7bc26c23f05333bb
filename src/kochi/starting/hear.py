"""Find out what recordings or features lie where, and which column says what."""

from itertools import islice
from pathlib import Path

from kochi.data.manifest import Row, read_rows
from kochi.data.recordings import ENDINGS, sound_files
from kochi.errors import UserError
from kochi.starting.listed import (
    PEEK,
    TEXT_NAMES,
    Listed,
    find_listed,
    folder_of,
    have_texts,
    known_first,
    parts_of,
    splits_below,
    splits_of,
    text_column,
)

AUDIO_NAMES = ("audio", "path", "file", "files", "wav", "recording", "filename", "audio_filepath")
KEY_NAMES = ("id", "key", "utterance", "utt", "uttid", "name")


def find_hearing(path: Path) -> Listed | None:
    """Tell what is to be heard at a path (a manifest or a folder); None where nothing is.

    Raises:
        UserError: There are recordings or features, but no text to them, or several readings.
    """
    return find_listed(path, _of_manifest, _of_folder)


def _of_folder(folder: Path) -> Listed | None:
    """Return recordings with a transcript beside each; of subfolders if they are splits."""
    found = have_texts(sound_files(folder))
    return Listed("sound", splits_below(folder), {}) if found else None


def _of_manifest(path: Path) -> Listed | None:
    try:
        rows = list(islice(read_rows(path), PEEK))
    except UserError:
        return None  # whoever reads pairs of text says what is wrong
    names = list(rows[0].cells)
    audio = next((n for n in known_first(names, AUDIO_NAMES) if _is_sound(rows, n)), None)
    if audio is not None:
        splits, column = splits_of(path, rows)
        folder, joined = folder_of(path, rows, audio, "recordings in data.audio_folder")
        text = text_column(path, names, audio, TEXT_NAMES)
        return Listed("sound", splits, {}, audio, text, column, folder, joined)
    splits, column = splits_of(path, rows)
    arrays = {split: _array_file(file) for split, file in splits.items()}
    key = next((name for name in KEY_NAMES if name in names), None)
    if key is None or not all(file.exists() for file in arrays.values()):
        return None
    text = text_column(path, names, key, TEXT_NAMES)
    return Listed("features", splits, arrays, key, text, column)


def _array_file(manifest: Path) -> Path:
    return manifest.with_name(manifest.name.removesuffix(".gz").rpartition(".")[0] + ".npz")


def _is_sound(rows: list[Row], column: str) -> bool:
    cells = [parts_of(row.cells.get(column)) for row in rows]
    return all(cell and cell[-1].lower().endswith(ENDINGS) for cell in cells)
