"""The reader of precomputed features: arrays in .npz and .npy files."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float32, Int64, Integer, Shaped
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from kochi.contents import File
from kochi.data.padding import pad_frames
from kochi.data.readers.base import Numbers
from kochi.data.readers.saving import read_kind
from kochi.data.readers.taking import array_of, file_of, is_array, is_file
from kochi.errors import UserError
from kochi.modalities.audio.augmentation import perturb_tempo
from kochi.modalities.audio.files import MAX_SECONDS
from kochi.modalities.audio.frame_reader import FrameReader, SavedFrames
from kochi.modalities.features.arrays import Check, Header, archive, read_npy
from kochi.modalities.features.row import FeatureRow
from kochi.modalities.features.tables import FeaturesData
from kochi.modalities.tables import Hop
from kochi.reading import parsing
from kochi.tables import Positive

LARGEST_NUMBER = 1e15  # above the energy of a frame of unscaled 16-bit samples
LARGEST_DEVIATION = 1e9  # standard deviations; the squares of both are far from overflow
FeatureSource = FeatureRow | str | Path | Shaped[np.ndarray, "..."] | Shaped[Tensor, "..."]


@dataclass(frozen=True, kw_only=True)
class FeatureReader(FrameReader[FeatureSource]):
    """Read precomputed frames.

    A source is a `FeatureRow`, a .npy file (its path, bytes or a binary stream), or a numeric array
    or tensor ``[frames, size]``.

    Attributes:
        size: Numbers per frame, detected from the data.
        hop: Seconds from one frame to the next.
        first: Time of the middle of the first frame, in seconds.
    """

    unit: ClassVar[str] = "frames"
    takes: ClassVar[str] = (
        "the path, bytes or open file of a .npy file, or an array or tensor [frames, size]"
    )
    size: int
    hop: float
    first: float

    @property
    @override
    def dtype(self) -> "np.dtype[Any]":
        return np.dtype(np.float32)

    @property
    @override
    def width(self) -> int:
        return self.size

    @property
    @override
    def longest(self) -> int:
        return round(self.max_seconds / self.hop)

    @property
    @override
    def frame_size(self) -> int:
        return self.size

    @property
    @override
    def hop_seconds(self) -> float:
        return self.hop

    @property
    @override
    def first_seconds(self) -> float:
        return self.first

    @override
    def is_one(self, source: Any) -> bool:
        return (
            isinstance(source, FeatureRow)
            or is_file(source)
            or (is_array(source) and source.ndim <= 2)
        )

    @override
    def taken(self, source: Any) -> FeatureSource | None:
        if isinstance(source, FeatureRow | str):
            return source
        array = array_of(source)
        if array is not None:
            return array
        file = file_of(source)
        return None if file is None else FeatureRow(file)

    @override
    def encode(self, source: FeatureSource) -> Float32[np.ndarray, "frames size"]:
        name = self.describe(source)
        frames = _frames(source, name, partial(self._check, name=name))
        if self.moments is not None:
            mean, std = (
                part[: self.size].numpy() for part in (self.moments.mean, self.moments.std)
            )
            _check_numbers(frames, (frames - mean) / std, LARGEST_DEVIATION, name)
        return frames

    def _check(self, header: Header, name: str) -> None:
        """Reject an unsuitable array by its header."""
        _check_shape(header, name)
        count, size = header.shape
        if size != self.size:
            raise UserError(
                f"{name}: frames have {size} numbers, expected {self.size}, as in training; "
                "compute them in the same way"
            )
        limit = max(self.max_seconds, MAX_SECONDS)
        seconds = count * self.hop
        if seconds > limit:
            raise UserError(
                f"{name}: {count} frames are {seconds:.1f} s; expected at most {limit:g} s; "
                "cut it into utterances"
            )

    @override
    def seconds(self, length: int) -> float:
        return length * self.hop

    @override
    def positions(self, lengths: Any) -> Any:
        return lengths

    @override
    def frames(
        self,
        numbers: Numbers,
        lengths: Integer[np.ndarray, " batch"],
        draws: np.random.Generator | None,
    ) -> tuple[Float32[Tensor, "batch frames size"], Int64[Tensor, " batch"]]:
        if draws is not None and self.augmentation is not None and self.augmentation.speeds:
            rows = np.split(numbers, np.cumsum(lengths)[:-1])
            rows = [perturb_tempo(row, self.augmentation.speeds, draws) for row in rows]
            numbers, lengths = np.concatenate(rows), np.array([len(row) for row in rows])
        padded, _ = pad_frames(numbers, lengths)
        return torch.from_numpy(padded), torch.from_numpy(lengths.astype(np.int64))

    @override
    def describe(self, source: FeatureSource) -> str:
        if isinstance(source, FeatureRow):
            return source.name
        if isinstance(source, str | Path):
            return str(source)
        return f"array of shape {tuple(source.shape)}"

    @override
    def to_dict(self) -> dict[str, Any]:
        own = {"kind": "features", "size": self.size, "hop": self.hop, "first": self.first}
        return own | self.common()

    @staticmethod
    def load(path: File) -> "FeatureReader":
        """Load what `save` wrote.

        Raises:
            UserError: The file is missing or damaged.
        """
        saved = read_kind(path, "features", SavedFeatures)
        with parsing(f"{path}: not what kochi saved", "a reader of features"):
            common = saved.common()
        return FeatureReader(size=saved.size, hop=saved.hop, first=saved.first, **common)

    @staticmethod
    def like(row: FeatureRow, data: FeaturesData) -> "FeatureReader":
        """Return a reader of frames with the same size as those of this row, not yet fitted.

        Raises:
            UserError: The row cannot be read.
        """
        options = data.front_end
        return FeatureReader(
            size=_frames(row, row.name, partial(_check_shape, name=row.name)).shape[1],
            hop=options.hop_seconds,
            first=options.first_seconds,
            deltas=options.deltas,
            normalisation=options.normalisation,
            max_seconds=data.max_seconds,
        )


class SavedFeatures(SavedFrames):
    """The contents of a file written by `FeatureReader.save`."""

    kind: Literal["features"]
    size: Positive
    hop: Hop
    first: Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


def keys_of(path: File) -> tuple[str, ...]:
    """Return the names of the arrays of an .npz file, in order.

    Raises:
        UserError: The file is missing or is not an .npz file.
    """
    return archive(path).keys


def _frames(source: FeatureSource, name: str, check: Check) -> Float32[np.ndarray, "frames size"]:
    """Return the frames of a source.

    Args:
        source: The source.
        name: Its name in messages.
        check: As in `kochi.modalities.features.arrays.read_npy`.

    Raises:
        UserError: The source cannot be read, or contains numbers that are not features.
    """
    if isinstance(source, np.ndarray | Tensor):
        array = source.detach().cpu().numpy() if isinstance(source, Tensor) else source
        check(Header(array.shape, str(array.dtype), False))
    else:
        row = source if isinstance(source, FeatureRow) else FeatureRow(Path(source))
        if row.key is None:
            array = read_npy(row.path, row.name, check)
        else:
            array = archive(row.path).read(row.key, row.name, check)
    if array.dtype.kind not in "fiu":
        raise UserError(_not_frames(name, array.shape, str(array.dtype)))
    with np.errstate(over="ignore", invalid="ignore"):
        frames = np.ascontiguousarray(array, np.float32)
    _check_numbers(frames, frames, LARGEST_NUMBER, name)
    return frames


def _check_shape(header: Header, name: str) -> None:
    if len(header.shape) != 2:
        raise UserError(_not_frames(name, header.shape, header.type))
    if 0 in header.shape:
        raise UserError(f"{name}: holds no frames (shape {header.shape}); leave it out")


def _not_frames(name: str, shape: tuple[int, ...], kind: str) -> str:
    found = f"found an array of shape {shape} and type {kind}"
    return f"{name}: {found}, expected numbers [frames, size]"


def _check_numbers(
    frames: Float32[np.ndarray, "frames size"],
    compared: Float32[np.ndarray, "frames size"],
    largest: float,
    name: str,
) -> None:
    """Reject numbers, given as displayed in ``frames``, that would make a model output NaN."""
    good = np.abs(compared) <= largest  # False for NaN, too
    if good.all():
        return
    row, column = (int(place) for place in np.argwhere(~good)[0])
    value = frames[row, column]
    found = f"{value:g}" if np.isfinite(value) else "NaN or infinity"
    raise UserError(
        f"{name}: frame {row + 1} of {len(frames)} holds {found}; expected finite numbers, such as "
        "in training: compute it again or leave it out"
    )
