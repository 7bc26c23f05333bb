"""The shared base of modalities whose encoders read frames: recordings and features."""

import io
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from typing_extensions import override

from kochi.contents import File
from kochi.errors import UserError
from kochi.inputs import FrameInput, Input
from kochi.memory import Frames
from kochi.modalities.attended import Attended
from kochi.modalities.base import Data, Modality

if TYPE_CHECKING:
    from kochi.modalities.audio.frame_reader import FrameReader
    from kochi.view.page import TimeSide


class OfFrames(Modality[Data]):
    """A modality whose encoders read frames."""

    augmentations: ClassVar[frozenset[str]] = frozenset({"augmentation"})
    lasts = True
    instead_of_words = "'kochi predict --json' says when each word was said"

    @property
    @override
    def bounds(self) -> str:
        return f"data.max_seconds = {self.data.max_seconds:g} or {super().bounds}"

    @override
    def like(self) -> Input:
        return FrameInput(8, 0.01)

    @abstractmethod
    def load(self, file: File) -> "FrameReader[Any]":
        """Load a saved reader, without checking its statistics."""

    @override
    def load_reader(self, file: File) -> "FrameReader[Any]":
        reader = self.load(file)
        size = reader.inputs.size
        if reader.moments is not None and len(reader.moments.mean) != size:
            raise UserError(
                f"{file}: has {len(reader.moments.mean)} means, expected {size}, one for each "
                "number of a frame; copy the file again"
            )
        return reader

    @override
    def metrics(self, wer: str) -> list[str]:
        return ["wer", "cer"]

    @override
    def side(self, attended: Attended) -> "TimeSide":
        from kochi.view.page import TimeSide

        reader, layout = _frames_of(attended)
        row = np.asarray(attended.encoded())
        seconds = reader.seconds(len(row))
        wav = _wav(row, round(len(row) / seconds)) if reader.unit == "samples" else None
        frames = reader.plain(row)
        return TimeSide(frames, seconds, layout.hop_seconds, layout.first_seconds, wav)

    @override
    def draw(self, attended: Attended, path: Path, title: str) -> None:
        from kochi.modalities.audio.spectrogram import draw_spectrogram
        from kochi.view.figures import picture_format, save_figure
        from kochi.view.labelled import label_alignment

        reader, layout = _frames_of(attended)
        columns = attended.source_tokens or ("",) * attended.alignment.shape[1]
        figure = draw_spectrogram(
            reader.plain(attended.encoded()),
            Frames(reader.hop_seconds, reader.first_seconds),
            label_alignment(attended.alignment, columns, attended.tokens, title),
            layout,
            attended.words,
            picture_format(path),
        )
        save_figure(figure, path)


def _frames_of(attended: Attended) -> "tuple[FrameReader[Any], Frames]":
    assert isinstance(attended.layout, Frames)
    return cast("FrameReader[Any]", attended.reader), attended.layout


def _wav(samples: "np.ndarray", rate_hz: int) -> bytes:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples.astype(np.int16), rate_hz, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
