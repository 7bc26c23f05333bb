"""A modality: series of numbers, such as what a sensor measured, and what they are in words."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from kochi import UserError
from kochi.inputs import FrameInput
from kochi.modalities import (
    Attended,
    FramesPrediction,
    ManifestData,
    Modality,
    Pair,
    Reader,
    manifest_rows,
    usable,
)
from kochi.view import TextSide, save_alignment


class SeriesData(ManifestData):
    """Series of numbers with their text, in the rows of a manifest.

    A cell of ``series_column`` holds numbers with spaces between, or is a list of them (in JSON).
    """

    train: Path
    dev: Path | None = None
    test: Path | None = None
    series_column: str = "series"
    text_column: str = "text"


class SeriesReader(Reader[Any]):
    """Read a series as frames of one number each.

    A source is a text of numbers with spaces between, or a list or array of numbers.
    """

    unit = "frames"
    takes = "numbers: a text with spaces between them, or a list"

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The type of the numbers."""
        return np.dtype(np.float32)

    @property
    def inputs(self) -> FrameInput:
        """What an encoder must know: one number, one for each second."""
        return FrameInput(1, hop_seconds=1.0)

    def is_one(self, source: Any) -> bool:
        """Say whether this is one series, not several."""
        if isinstance(source, list | tuple):
            return all(isinstance(number, int | float) for number in source)
        return isinstance(source, str) or (isinstance(source, np.ndarray) and source.ndim == 1)

    def taken(self, source: Any) -> Any:
        """Return what `encode` takes; None if it is no series."""
        return source if isinstance(source, str | list | tuple | np.ndarray) else None

    def encode(self, source: Any) -> "np.ndarray":
        """Return the numbers as frames."""
        numbers = source.split() if isinstance(source, str) else source
        try:
            frames = np.array([float(number) for number in numbers], np.float32)
        except (TypeError, ValueError):
            raise UserError(f"{self.describe(source)}: expected numbers") from None
        if not len(frames) or not np.isfinite(frames).all():
            raise UserError(f"{self.describe(source)}: expected finite numbers, at least one")
        return frames[:, None]

    def positions(self, lengths: Any) -> Any:
        """Return how many frames rows of these lengths have."""
        return lengths

    def collate(self, numbers: Any, lengths: Any, draws: Any = None) -> Any:
        """Pad the rows of a batch with zeros."""
        rows = [torch.tensor(row) for row in np.split(numbers, np.cumsum(lengths)[:-1])]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return padded, torch.arange(padded.shape[1]) < torch.as_tensor(lengths)[:, None]

    def describe(self, source: Any) -> str:
        """Name a series by its numbers."""
        return source if isinstance(source, str) else " ".join(map(str, source))

    def save(self, path: Path) -> None:
        """Write that this is a reader of series; it learns nothing."""
        path.write_text(json.dumps({"kind": "series"}), encoding="utf-8")


class Series(Modality[SeriesData]):
    """Series of numbers, one at a time."""

    name = "series"
    sources = "series of numbers"
    tables: ClassVar[dict[str, Any]] = {"series": SeriesData}
    in_files = False

    def pairs(self, split: Any, bad: Any) -> Iterator[Pair]:
        """Stream the rows of a manifest."""

        def pair(row: Any) -> Pair:
            cell = row.get(self.data.series_column)
            source = cell if isinstance(cell, str) else tuple(cell)
            return Pair(source, (row.text(self.data.text_column),), row.where)

        rows = manifest_rows(self.data, *self.files(split), split, bad)
        yield from usable(rows, pair, bad)

    def like(self) -> FrameInput:
        """Return what an encoder will read."""
        return FrameInput(1, hop_seconds=1.0)

    def reader(self) -> SeriesReader:
        """Make a reader."""
        return SeriesReader()

    def load_reader(self, file: Any) -> SeriesReader:
        """Make a reader: nothing was learned."""
        return SeriesReader()

    def prediction(self) -> type[FramesPrediction]:
        """Predictions have times: numbers follow each other once a second."""
        return FramesPrediction

    def metrics(self, wer: str) -> list[str]:
        """Name the usual metrics."""
        return ["exact", "chrf"]

    def side(self, attended: Attended) -> TextSide:
        """Show the number in the middle of what each position is made of."""
        names = self._names(attended)
        return TextSide(names, names, tuple(range(len(names))))

    def draw(self, attended: Attended, path: Path, title: str) -> None:
        """Draw the alignment with the numbers."""
        names = self._names(attended)
        save_alignment(attended.alignment, names, attended.tokens, path, title=title)

    def _names(self, attended: Attended) -> tuple[str, ...]:
        numbers = np.asarray(attended.encoded())[:, 0]
        centres = map(attended.layout.centre_seconds, range(attended.alignment.shape[1]))
        return tuple(f"{numbers[min(round(c), len(numbers) - 1)]:g}" for c in centres)
