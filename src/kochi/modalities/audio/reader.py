"""The reader of recordings: 16-bit samples in the corpus, log-mel frames in the batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float32, Int16, Int64, Integer, Num
from torch import Tensor
from typing_extensions import override

from kochi.contents import File
from kochi.data.readers.base import Numbers
from kochi.data.readers.saving import read_kind
from kochi.data.readers.taking import array_of, file_of, is_array, is_file
from kochi.errors import UserError
from kochi.modalities.audio.augmentation import perturb_speed
from kochi.modalities.audio.files import MAX_SECONDS, Recording, read_recording
from kochi.modalities.audio.frame_reader import FrameReader, SavedFrames
from kochi.modalities.audio.mel import MelOptions, log_mel, num_frames
from kochi.modalities.audio.resampling import to_int16
from kochi.modalities.audio.tables import MelFrames, SoundData
from kochi.reading import parsing

SoundSource = Recording | str | Path | Num[np.ndarray, "..."] | Num[Tensor, "..."]


@dataclass(frozen=True, kw_only=True)
class SoundReader(FrameReader[SoundSource]):
    """Read recordings as log-mel frames.

    A source is a `Recording`, an audio file (its path, bytes or a binary stream), or samples at the
    model's sample rate, as an array or tensor: 16-bit integers, or floats from -1 to 1.

    Attributes:
        front_end: The run file's table of log-mel frames.
    """

    unit: ClassVar[str] = "samples"
    takes: ClassVar[str] = (
        "the path, bytes or open file of a recording, or samples as a one-dimensional array or "
        "tensor"
    )
    front_end: MelFrames
    _remarks: list[str] = field(default_factory=list, init=False, compare=False, repr=False)

    @cached_property
    def mel(self) -> MelOptions:
        """Options of the frames.

        Raises:
            UserError: The options of the front end are inconsistent.
        """
        options = self.front_end.model_dump(exclude={"deltas", "normalisation"})
        try:
            return MelOptions(**options)
        except ValueError as error:
            raise UserError(f"data.front_end: {error}") from None

    @property
    @override
    def remarks(self) -> Sequence[str]:
        return self._remarks

    @property
    @override
    def dtype(self) -> "np.dtype[Any]":
        return np.dtype(np.int16)

    @property
    @override
    def longest(self) -> int:
        return round(self.max_seconds * self.mel.sample_rate_hz)

    @property
    @override
    def frame_size(self) -> int:
        return self.mel.mel_bins

    @property
    @override
    def hop_seconds(self) -> float:
        return self.mel.hop_length / self.mel.sample_rate_hz

    @property
    @override
    def first_seconds(self) -> float:
        return self.mel.window_length / self.mel.sample_rate_hz / 2

    @override
    def is_one(self, source: Any) -> bool:
        return (
            isinstance(source, Recording)
            or is_file(source)
            or (is_array(source) and source.ndim <= 1)
        )

    @override
    def taken(self, source: Any) -> SoundSource | None:
        if isinstance(source, Recording | str):
            return source
        array = array_of(source)
        if array is not None:
            return array
        file = file_of(source)
        return None if file is None else Recording((file,))

    @override
    def encode(self, source: SoundSource) -> Int16[np.ndarray, " samples"]:
        limit = max(self.max_seconds, MAX_SECONDS)
        if isinstance(source, np.ndarray | Tensor):
            samples = _from_array(source)
            seconds = self.seconds(len(samples))
            if seconds > limit:
                raise UserError(
                    f"{self.describe(source)}: lasts {seconds:.1f} s; expected at most {limit:g} "
                    "s; cut it into utterances"
                )
        else:
            recording = source if isinstance(source, Recording) else Recording((Path(source),))
            samples = read_recording(
                recording,
                self.mel.sample_rate_hz,
                max_seconds=limit,
                warn=self._remarks.append,
            )
        if not num_frames(len(samples), self.mel):
            raise UserError(
                f"{self.describe(source)}: {len(samples)} samples are shorter than a window of "
                f"{self.mel.window_length}; expected at least one frame; leave it out"
            )
        return samples

    @override
    def seconds(self, length: int) -> float:
        return length / self.mel.sample_rate_hz

    @override
    def positions(self, lengths: Any) -> Any:
        mel = self.mel
        frames = 1 + (np.asarray(lengths) - mel.window_length) // mel.hop_length
        return np.maximum(frames, 0).astype(np.int32) if frames.ndim else max(int(frames), 0)

    @override
    def frames(
        self,
        numbers: Numbers,
        lengths: Integer[np.ndarray, " batch"],
        draws: np.random.Generator | None,
    ) -> tuple[Float32[Tensor, "batch frames size"], Int64[Tensor, " batch"]]:
        rows = np.split(numbers, np.cumsum(lengths)[:-1])
        if draws is not None and self.augmentation is not None and self.augmentation.speeds:
            rows = [self._perturb(row, draws) for row in rows]
        counts = torch.tensor([num_frames(len(row), self.mel) for row in rows])
        padded = np.zeros((len(rows), max(map(len, rows))), np.int16)
        for row, samples in zip(padded, rows, strict=True):
            row[: len(samples)] = samples
        frames = log_mel(torch.from_numpy(padded), self.mel)
        return frames[:, : int(counts.max())], counts

    def _perturb(self, samples: np.ndarray, draws: np.random.Generator) -> np.ndarray:
        assert self.augmentation is not None
        changed = perturb_speed(samples, self.augmentation.speeds, draws)
        return changed if num_frames(len(changed), self.mel) else samples

    @override
    def describe(self, source: SoundSource) -> str:
        if isinstance(source, Recording):
            return source.name
        if isinstance(source, str | Path):
            return str(source)
        return f"array of shape {tuple(source.shape)}"

    @override
    def to_dict(self) -> dict[str, Any]:
        own = {"kind": "sound", "front_end": self.front_end.model_dump(mode="json")}
        return own | self.common()

    @staticmethod
    def load(path: File) -> "SoundReader":
        """Load what `save` wrote.

        Raises:
            UserError: The file is missing or damaged.
        """
        saved = read_kind(path, "sound", SavedSound)
        with parsing(f"{path}: not what kochi saved", "a reader of sound"):
            common = saved.common()
        reader = SoundReader(front_end=saved.front_end, **common)
        _ = reader.mel
        return reader

    @staticmethod
    def like(data: SoundData) -> "SoundReader":
        """Return a reader for the data of a run file, not yet fitted.

        Raises:
            UserError: The options of the front end are inconsistent.
        """
        reader = SoundReader(
            front_end=data.front_end,
            deltas=data.front_end.deltas,
            normalisation=data.front_end.normalisation,
            max_seconds=data.max_seconds,
        )
        _ = reader.mel
        return reader


class SavedSound(SavedFrames):
    """The contents of a file written by `SoundReader.save`."""

    kind: Literal["sound"]
    front_end: MelFrames


def _from_array(source: np.ndarray | Tensor) -> Int16[np.ndarray, " samples"]:
    samples = source.detach().cpu().numpy() if isinstance(source, Tensor) else source
    if samples.ndim != 1 or not len(samples):
        raise UserError(f"array of shape {samples.shape}: expected samples, one number each")
    if samples.dtype == np.int16:
        return samples
    if samples.dtype.kind != "f":
        raise UserError(
            f"array of {samples.dtype}: expected samples as int16, or as floats from -1 to 1"
        )
    if not np.isfinite(samples).all():
        raise UserError("array of samples: holds NaN or infinity; expected finite numbers")
    return to_int16(samples.astype(np.float32))
