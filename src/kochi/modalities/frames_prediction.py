"""What a model predicts for a source that lasts: with times."""

from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import override

from kochi.data.readers.base import Reader
from kochi.memory import Frames
from kochi.modalities.attended import Attended
from kochi.prediction import Prediction
from kochi.timestamps import Timed, time_answer


@dataclass(frozen=True)
class FramesPrediction(Prediction):
    """What a model predicts for frames. See `kochi.Prediction` for the other attributes.

    Attributes:
        times: When each of ``tokens`` was said, where an alignment was requested; see
            `kochi.timestamps`.
        words: The same for the words of ``text``.
    """

    times: tuple[Timed, ...] | None = None
    words: tuple[Timed, ...] | None = None

    @override
    def with_source(self, reader: Reader[Any], source: Any, row: Any) -> "FramesPrediction":
        if self.alignment is None or not isinstance(self.layout, Frames):
            return self
        seconds = reader.seconds(len(row))
        times, words = time_answer(self.tokens, self.pieces, self.alignment, self.layout, seconds)
        return replace(self, times=times, words=words)

    @property
    @override
    def column_labels(self) -> tuple[str, ...]:
        """Tenths of a second, where a new one begins."""
        if self.alignment is None or not isinstance(self.layout, Frames):
            return ()
        labels, before = [], -1
        for position in range(self.alignment.shape[1]):
            tenth = int(self.layout.centre_seconds(position) * 10 + 1e-6)
            labels.append(f"{tenth / 10:.1f}" if tenth != before else "·")
            before = tenth
        return tuple(labels)

    @property
    @override
    def token_seconds(self) -> tuple[float, ...]:
        return tuple(time.start_seconds for time in self.times or ())

    @override
    def attended(self, reader: Reader[Any], source: Any) -> Attended:
        return replace(super().attended(reader, source), words=self.words or ())

    @override
    def to_record(self) -> dict[str, Any]:
        record = super().to_record()
        if self.error is not None or not isinstance(self.layout, Frames):
            return record
        return record | {
            "hop_seconds": self.layout.hop_seconds,
            "first_seconds": self.layout.first_seconds,
            "times": self.times and [one.to_record() for one in self.times],
            "words": self.words and [one.to_record() for one in self.words],
        }
