"""Recordings of a manifest's row or of a folder, as described by the run file's data table."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kochi.data.lines import lines
from kochi.data.manifest import Row
from kochi.errors import UserError
from kochi.modalities.audio.files import Recording
from kochi.modalities.audio.tables import SoundData

ENDINGS = (".wav", ".flac", ".ogg", ".mp3")


def row_recording(row: Row, data: SoundData) -> Recording:
    """Return the recording in a row of a manifest.

    Raises:
        UserError: A cell is missing, empty or not a number; the message names file and row.
    """
    cell = row.get(data.audio_column)
    if isinstance(cell, list):
        names = cell
    elif data.joined_by is not None and isinstance(cell, str):
        names = [name for name in cell.split(data.joined_by) if name]
    else:
        names = [cell]
    if not all(isinstance(name, str) and name for name in names):
        raise UserError(f"{row.where}: '{data.audio_column}' is {cell!r}, expected paths")
    folder = data.folder if data.audio_folder is None else data.folder / data.audio_folder
    start, end = (_seconds(row, column) for column in (data.start_column, data.end_column))
    if data.duration_column is not None and end is None:
        duration = _seconds(row, data.duration_column)
        end = None if duration is None else (start or 0.0) + duration
    try:
        return Recording(tuple(folder / name for name in names), start, end)
    except UserError as error:
        raise UserError(f"{row.where}: {error}") from None


def _seconds(row: Row, column: str) -> float | None:
    value: Any = row.cells.get(column)
    if value is None or value == "":
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise UserError(f"{row.where}: '{column}' is {value!r}, expected seconds")
    return seconds


def folder_recordings(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield all recordings below a folder, by name, with the text of the .txt file beside each.

    Raises:
        UserError: There are none, or a text is missing, is empty or has several lines.
    """
    empty = True
    for path in sound_files(folder):
        empty = False
        yield path, transcript(path.with_suffix(".txt"))
    if empty:
        raise UserError(f"{folder}: holds no recordings ({', '.join(ENDINGS)}); expected some")


def sound_files(folder: Path) -> list[Path]:
    """Return the recordings below a folder, ordered by name."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())


def transcript(path: Path) -> str:
    """Read the text of one recording.

    Raises:
        UserError: The file is missing, is empty or has several lines of text.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file; expected the text of the recording beside it")
    found = [line for line in lines(path) if line.strip()]
    if len(found) != 1:
        what = f"{len(found)} lines" if found else "no text"
        raise UserError(f"{path}: found {what}; expected one line, the text of the recording")
    return found[0]
