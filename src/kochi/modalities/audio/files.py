"""Read recordings: a file, part of one, or several joined, as 16-bit samples at one rate."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int16

from kochi.contents import File
from kochi.errors import UserError
from kochi.modalities.audio.resampling import FULL_SCALE, resample, to_int16

MAX_SECONDS = 120.0  # utterances are much shorter; a whole meeting is likely an error
END_SLACK_SECONDS = 0.1  # manifests may round the end of a file up
CLIPPED_RUN = 3  # consecutive samples at full scale: fewer may be an unclipped peak
CLIPPED_SHARE = 0.001  # of all samples; less clipping is inaudible
SILENT_STEPS = 4  # of 16 bits, between the lowest and the highest sample


class SoundWarning(UserWarning):
    """Warns that a recording can be read but may not have the intended content."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The location of the samples of an utterance.

    Attributes:
        paths: One file, or several that are joined; on disk or in memory.
        start_seconds: Start of the utterance, on the time axis of all files joined; None for the
            start of the first.
        end_seconds: End of the utterance; None for the end of the last.

    Raises:
        UserError: Not 0 <= start < end.
        ValueError: No path.
    """

    paths: tuple[File, ...]
    start_seconds: float | None = None
    end_seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.paths:
            raise ValueError("paths: expected at least one file")
        start, end = self.start_seconds or 0.0, self.end_seconds
        if not (0 <= start < math.inf and (end is None or start < end < math.inf)):
            found = f"start {start:g} s" + ("" if end is None else f", end {end:g} s")
            raise UserError(f"{self.name}: found {found}; expected 0 <= start < end; correct them")

    def __str__(self) -> str:
        names = " ".join(path.name for path in self.paths)
        if self.start_seconds is None and self.end_seconds is None:
            return names
        end = "the end" if self.end_seconds is None else f"{self.end_seconds:g} s"
        return f"{names} from {self.start_seconds or 0.0:g} s to {end}"

    @property
    def name(self) -> str:
        """The name of the recording in messages."""
        more = len(self.paths) - 1
        return f"{self.paths[0]}" + (f" (and {more} joined to it)" if more else "")


def read_recording(
    recording: Recording,
    sample_rate_hz: int,
    *,
    max_seconds: float = MAX_SECONDS,
    warn: Callable[[str], object] | None = None,
) -> Int16[np.ndarray, " samples"]:
    """Read a recording: mean of the channels, resampled, rounded to 16 bits.

    A 16-bit mono file at ``sample_rate_hz`` is returned unchanged. Joined files are resampled one
    by one: the result is the concatenation of the single files.

    Args:
        recording: What to read.
        sample_rate_hz: Sample rate of the result.
        max_seconds: Maximum length. It is compared with the header, before anything is decoded.
        warn: Called with a line if much of the audio is clipped or all is silent; by default a
            `SoundWarning` is issued. Pass a function to collect the lines of many recordings.

    Raises:
        UserError: A file is missing, not audio, truncated or without samples, or has samples that
            are not numbers; start or end is outside; the recording is longer than ``max_seconds``.
    """
    if sample_rate_hz < 1:
        raise ValueError(f"sample_rate_hz must be at least 1, got {sample_rate_hz}")
    warn = warn or _warn
    pieces = _pieces(recording)
    seconds = sum(piece.seconds for piece in pieces)
    if seconds > max_seconds:
        raise UserError(
            f"{recording.name}: lasts {seconds:.1f} s; expected at most {max_seconds:g} s "
            "(max_seconds); give start and end, cut it into utterances, or raise the limit"
        )
    decoded = [_decode_piece(piece) for piece in pieces]
    samples = np.concatenate(
        [
            to_int16(resample(mono, piece.sample_rate_hz, sample_rate_hz))
            for piece, (mono, _) in zip(pieces, decoded, strict=True)
        ]
    )
    if not len(samples):
        raise UserError(
            f"{recording.name}: holds no samples at {sample_rate_hz} Hz; expected at least one; "
            "leave it out"
        )
    clipped = float(np.mean(np.concatenate([full for _, full in decoded])))
    if clipped >= CLIPPED_SHARE:
        warn(
            f"{recording.name}: {100 * clipped:.1f} % of the samples are clipped (at full scale); "
            "record at a lower level"
        )
    if int(samples.max()) - int(samples.min()) < SILENT_STEPS:
        warn(f"{recording.name}: is silent; expected speech; check the recording or leave it out")
    return samples


def duration_seconds(recording: Recording) -> float:
    """Return the duration of a recording, from the headers of its files.

    A file is decoded only if its header does not give the duration.

    Raises:
        UserError: As in `read_recording`, as far as headers show it.
    """
    return sum(piece.seconds for piece in _pieces(recording))


class _Piece(NamedTuple):
    """The part of a file to read, in samples of the file."""

    path: File
    sample_rate_hz: int
    first: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.first) / self.sample_rate_hz


def _pieces(recording: Recording) -> list[_Piece]:
    headers = [_read_header(path) for path in recording.paths]
    total = sum(count / rate for rate, count in headers)
    start, end = recording.start_seconds or 0.0, recording.end_seconds
    if start >= total or (end is not None and end > total + END_SLACK_SECONDS):
        which, found = ("start", start) if start >= total else ("end", end)
        raise UserError(
            f"{recording.name}: {which} {found:g} s is beyond the end of the sound; it is "
            f"{total:.3f} s long; correct the {which}"
        )
    pieces, before = [], 0.0
    for path, (rate, count) in zip(recording.paths, headers, strict=True):
        first = min(max(round((start - before) * rate), 0), count)
        last = count if end is None else min(max(round((end - before) * rate), 0), count)
        if first < last:
            pieces.append(_Piece(path, rate, first, last))
        before += count / rate
    if not pieces:
        raise UserError(
            f"{recording.name}: no sample lies between start {start:g} s and end {end:g} s; "
            "expected at least one; correct them"
        )
    return pieces


def _read_header(path: File) -> tuple[int, int]:
    """Return the sample rate and the number of samples (per channel) of a file."""
    from kochi.modalities.audio.decoding import decode, known_length, open_sound

    with open_sound(path) as decoder:
        count = known_length(decoder)
        if count is None:
            count = sum(len(block) for block in decode(decoder, str(path)))
        if not count:
            raise UserError(f"{path}: holds no samples; expected at least one; leave it out")
        return decoder.samplerate, count


def _decode_piece(
    piece: _Piece,
) -> tuple[Float32[np.ndarray, " samples"], Bool[np.ndarray, " samples"]]:
    """Return the mean of the channels, and a mask of samples where a channel is clipped."""
    from kochi.modalities.audio.decoding import decode, open_sound

    mono, full = [], []
    with open_sound(piece.path) as decoder:
        for block in decode(decoder, str(piece.path), piece.first, piece.end - piece.first):
            mono.append(block.mean(axis=1))
            full.append((np.abs(block) >= (FULL_SCALE - 1) / FULL_SCALE).any(axis=1))
    return np.concatenate(mono), _in_runs(np.concatenate(full))


def _in_runs(full: Bool[np.ndarray, " samples"]) -> Bool[np.ndarray, " samples"]:
    """Keep runs of at least `CLIPPED_RUN`: a single peak may touch full scale without clipping.

    >>> _in_runs(np.array([1, 0, 1, 1, 1, 0, 1, 1], bool)).astype(int).tolist()
    [0, 0, 1, 1, 1, 0, 0, 0]
    """
    count = max(0, len(full) - CLIPPED_RUN + 1)
    starts = np.ones(count, bool)
    for shift in range(CLIPPED_RUN):
        starts &= full[shift : count + shift]
    runs = np.zeros_like(full)
    for shift in range(CLIPPED_RUN):
        runs[shift : count + shift] |= starts
    return runs


def _warn(message: str) -> None:
    warnings.warn(message, SoundWarning, stacklevel=3)
