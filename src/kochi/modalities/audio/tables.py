"""Data table of audio recordings."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from kochi.modalities.tables import Frames, HeardData, Hop
from kochi.tables import AboveZero, NotNegative


class MelFrames(Frames):
    """Log-mel frames of audio; see ``kochi.modalities.audio.mel.MelOptions``.

    Audio with another sample rate is resampled to ``sample_rate_hz``. ``highest_hz`` defaults to
    half of it.
    """

    sample_rate_hz: Annotated[int, Field(gt=0, le=768_000)] = 16_000
    window_seconds: Annotated[float, Field(gt=0.0, le=10.0)] = 0.025
    hop_seconds: Hop = 0.010
    mel_bins: Annotated[int, Field(gt=0, le=10_000)] = 80
    lowest_hz: NotNegative = 20.0
    highest_hz: AboveZero | None = None
    preemphasis: Annotated[float, Field(ge=0.0, le=1.0)] = 0.97


class SoundData(HeardData):
    """Recordings (wav, flac, ogg, mp3) with their text.

    A split is a manifest, or a folder in which every recording has its text in a .txt file of the
    same name. A cell of ``audio_column`` is the path of a recording, relative to ``audio_folder``
    if that is set, else to ``folder``. A list of paths (in JSON), or paths separated by
    ``joined_by``, is joined into one utterance. The optional ``start_column`` and ``end_column``
    are in seconds; ``duration_column`` replaces the end (in seconds from the start).
    """

    sources_folder: ClassVar[str | None] = "audio_folder"

    kind: Literal["sound"]  # pyright: ignore[reportIncompatibleVariableOverride]
    train: Path
    dev: Path | None = None
    test: Path | None = None
    audio_column: str = "audio"
    start_column: str = "start"
    end_column: str = "end"
    duration_column: str | None = None
    audio_folder: Path | None = None
    joined_by: str | None = None
    front_end: MelFrames = MelFrames()
