"""The base of readers of frames: deltas, normalisation, masks, padding."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, Integer
from pydantic import Field, FiniteFloat
from torch import Tensor
from typing_extensions import override

from kochi import config
from kochi.data.readers.base import Numbers, Reader, Row
from kochi.data.readers.saving import write_kind
from kochi.inputs import FrameInput
from kochi.modalities.audio.augmentation import Masks, mask_spectrograms
from kochi.modalities.audio.deltas import append_deltas
from kochi.modalities.audio.normalisation import Normalisation, measure, normalise_each
from kochi.modalities.tables import Seconds
from kochi.tables import Table

Source = TypeVar("Source")


@dataclass(frozen=True, kw_only=True)
class FrameReader(Reader[Source]):
    """Turn sources into frames with deltas, normalised.

    Attributes:
        deltas: Number of derivatives over time that are appended to each frame: 0, 1 or 2.
        normalisation: "global", "utterance" or "none".
        moments: Mean and deviation over the training data; None before they are measured, and
            unless normalisation is global.
        max_seconds: Maximum length of training rows.
        augmentation: The augmentation in training.
    """

    outlasts_target: ClassVar[bool] = True
    deltas: int = 0
    normalisation: str = "global"
    moments: Normalisation | None = None
    max_seconds: float = 30.0
    augmentation: config.Augmentation | None = None

    @property
    @abstractmethod
    def frame_size(self) -> int:
        """Return the size of a frame before deltas."""

    @property
    @abstractmethod
    def hop_seconds(self) -> float:
        """Return the time from one frame to the next."""

    @property
    @abstractmethod
    def first_seconds(self) -> float:
        """Return the time of the middle of the first frame, in seconds."""

    @property
    @override
    def inputs(self) -> FrameInput:
        size = self.frame_size * (1 + self.deltas)
        return FrameInput(size, self.hop_seconds, self.first_seconds)

    @abstractmethod
    def frames(
        self,
        numbers: Numbers,
        lengths: Integer[np.ndarray, " batch"],
        draws: np.random.Generator | None,
    ) -> tuple[Float32[Tensor, "batch frames size"], Int64[Tensor, " batch"]]:
        """Return the padded frames of concatenated rows, and the number of frames of each."""

    @property
    @override
    def draws(self) -> bool:
        return self.augmentation is not None

    @override
    def collate(
        self,
        numbers: Numbers,
        lengths: Integer[np.ndarray, " batch"],
        draws: np.random.Generator | None = None,
    ) -> tuple[Float32[Tensor, "batch source size"], Bool[Tensor, "batch source"]]:
        frames, counts = self.frames(numbers, lengths, draws)
        frames = append_deltas(frames, self.deltas, lengths=counts)
        mask = torch.arange(frames.shape[1]) < counts[:, None]
        if self.normalisation == "utterance":
            frames = normalise_each(frames, mask)
        elif self.moments is not None:
            frames = self.moments.apply(frames)
        if draws is not None and self.augmentation is not None:
            masks = self._masks(self.augmentation)
            frames = mask_spectrograms(frames, counts, masks, draws, streams=1 + self.deltas)
        return frames.masked_fill(~mask[..., None], 0.0), mask

    def plain(self, row: Row) -> Float32[np.ndarray, "frames size"]:
        """Return a row's frames for display: without deltas, not normalised."""
        frames, _ = self.frames(np.asarray(row), np.array([len(row)]), None)
        return frames[0].numpy()

    @override
    def fitted(self, rows: Iterable[Row]) -> "FrameReader[Source]":
        """Return a reader that normalises by the mean and deviation of these rows.

        Nothing is measured unless normalisation is global.
        """
        if self.normalisation != "global":
            return self
        bare = replace(self, moments=None)
        return replace(self, moments=measure(bare.batch([row])[0][0] for row in rows))

    @override
    def for_training(self, training: config.Training) -> "FrameReader[Source]":
        return replace(self, augmentation=training.augmentation)

    def _masks(self, options: config.Augmentation) -> Masks:
        width = self.frame_size // 3 if options.bin_width is None else options.bin_width
        return Masks(
            time_masks=options.time_masks,
            time_width=options.time_width,
            time_share=options.time_share,
            bin_masks=options.bin_masks,
            bin_width=width,
        )

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the reader's parameters as plain values, for `save`."""

    def common(self) -> dict[str, Any]:
        """Return the values that are saved for every reader of frames."""
        return {
            "deltas": self.deltas,
            "normalisation": self.normalisation,
            "moments": None if self.moments is None else self.moments.to_lists(),
            "max_seconds": self.max_seconds,
        }

    @override
    def save(self, path: Path) -> None:
        values = self.to_dict()
        write_kind(path, values.pop("kind"), values)


class SavedNormalisation(Table):
    """The result of `Normalisation.to_lists`."""

    mean: list[FiniteFloat]
    std: list[Annotated[FiniteFloat, Field(gt=0.0)]]


class SavedFrames(Table):
    """The values that `FrameReader.save` writes for every reader of frames."""

    deltas: Annotated[int, Field(ge=0, le=2)]
    normalisation: Literal["global", "utterance", "none"]
    moments: SavedNormalisation | None
    max_seconds: Seconds

    def common(self) -> dict[str, Any]:
        """Return the arguments that all readers of frames share.

        Raises:
            ValueError: Mean or deviation is missing, or their lengths differ.
        """
        values = self.model_dump(include=set(SavedFrames.model_fields))
        if self.moments is not None:
            return values | {"moments": Normalisation.from_lists(values["moments"])}
        if self.normalisation == "global":
            raise ValueError("mean and deviation are missing")
        return values
