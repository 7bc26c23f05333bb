"""Detect recordings, and the columns of their manifests."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from typing_extensions import override

from kochi.data.left_out import Bad, refuse
from kochi.data.manifest import Row
from kochi.errors import UserError
from kochi.modalities.audio.rows import ENDINGS, sound_files
from kochi.modalities.audio.template import write_hearing
from kochi.modalities.detection.base import Detection
from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.columns import Name
from kochi.modalities.detection.listed import (
    COLUMNS,
    TEXT_NAMES,
    Listed,
    folder_of,
    have_texts,
    splits_below,
    splits_of,
    text_column,
)
from kochi.modalities.detection.names import splits_beside
from kochi.modalities.detection.sample import Sample, read_columns
from kochi.modalities.features.detection import has_arrays
from kochi.modalities.text.detection import table_notes

START_NAMES = ("start", "offset", "begin", "start_time", "begin_time", "start_seconds")
END_NAMES = ("end", "stop", "end_time", "stop_time", "end_seconds")
DURATION_NAMES = ("duration", "length", "dur", "duration_seconds")
WHAT = "recordings in data.audio_folder"


class AudioDetection(Detection):
    """Detects recordings."""

    @override
    def in_folder(self, folder: Path) -> Listed | None:
        found = have_texts(sound_files(folder))
        return Listed("sound", splits_below(folder), {}) if found else None

    @override
    def in_table(self, sample: Sample, choices: Choices) -> Listed | None:
        audio = next((column for column in sample.columns if column.kind == "recordings"), None)
        if audio is not None:
            return _recordings(sample, audio.name, choices)
        return None if has_arrays(sample) else _keys(sample, choices)

    @override
    def write(
        self, found: Listed, run_file: Path, output: str, seed: int, choices: Choices
    ) -> tuple[int, str, tuple[str, ...]]:
        return write_hearing(found, run_file, output, seed, choices)


def _recordings(sample: Sample, audio: Name, choices: Choices) -> Listed:
    folder, joined, _ = folder_of(sample, audio, WHAT)
    text = text_column(sample, audio, TEXT_NAMES, choices, last=True).name
    if not sample.header:
        return _rewritten(sample, audio, text, folder, "")
    splits, split = splits_of(sample)
    times = _times(sample)
    used = {audio, text, split, *times.values()}
    notes = table_notes(sample, {name for name in used if name})
    if times:
        shown = ", ".join(f"{option} = {name}" for option, name in times.items())
        notes += (f"rows are parts of recordings, in seconds: {shown}",)
    return Listed(
        "sound",
        splits,
        {},
        str(audio),
        str(text),
        split,
        folder,
        joined,
        times=times,
        form=sample.form,
        notes=notes,
    )


def _times(sample: Sample) -> dict[str, str]:
    """Return the columns that give the part of a recording in a row.

    A duration without a start is that of the whole recording.
    """
    names = {str(column.name).lower(): str(column.name) for column in sample.columns}
    start = next((names[name] for name in START_NAMES if name in names), None)
    end = next((names[name] for name in END_NAMES if name in names), None)
    duration = next((names[name] for name in DURATION_NAMES if name in names), None)
    times = {"start_column": start, "end_column": end}
    if start is not None and end is None:
        times = {"start_column": start, "duration_column": duration}
    return {option: name for option, name in times.items() if name is not None}


# ------------------------------------------------------------------------------ what is rewritten


def _keys(sample: Sample, choices: Choices) -> Listed | None:
    """Return recordings whose column contains file names without suffix, as in LJSpeech."""
    if not sample.columns:  # objects without fields
        return None
    first = sample.columns[0]
    if first.kind not in ("key", "text", "number") or len(sample.columns) < 2 or sample.json:
        return None
    try:
        folder, _, ending = folder_of(sample, first.name, WHAT, ENDINGS)
    except UserError:
        return None
    text = text_column(sample, first.name, TEXT_NAMES, choices, last=True).name
    return _rewritten(sample, first.name, text, folder, ending)


def _rewritten(sample: Sample, audio: Name, text: Name, folder: Path | None, ending: str) -> Listed:
    read = partial(_rows, sample=sample, audio=audio, text=text, ending=ending)
    notes = table_notes(sample, {audio, text})
    return Listed(
        "sound",
        splits_beside(sample.path),
        {},
        COLUMNS["sound"],
        "text",
        folder=folder,
        rewrite=read,
        notes=notes,
    )


def _rows(
    path: Path, bad: Bad = refuse, *, sample: Sample, audio: Name, text: Name, ending: str
) -> Iterator[Row]:
    for where, (name, said) in read_columns(path, sample, (audio, text), bad):
        yield Row(where, {"audio": f"{name}{ending}", "text": said})
