"""Frames of features that somebody computed: arrays in .npz and .npy files."""

import weakref
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Int64, Integer, Shaped
from torch import Tensor
from typing_extensions import override

from kochi import config
from kochi.contents import Contents, File
from kochi.data.padding import pad_frames
from kochi.data.readers.base import Numbers
from kochi.data.readers.frames import FrameReader, read_saved
from kochi.data.readers.rows import FeatureRow
from kochi.data.readers.taking import array_of, file_of, is_array, is_file
from kochi.errors import UserError
from kochi.sound.augmentation import perturb_tempo
from kochi.sound.files import MAX_SECONDS

FeatureSource = FeatureRow | str | Path | Shaped[np.ndarray, "..."] | Shaped[Tensor, "..."]


@dataclass(frozen=True, kw_only=True)
class FeatureReader(FrameReader[FeatureSource]):
    """Read frames as they were computed elsewhere.

    A source is a `FeatureRow`, a .npy file (its path, bytes or a binary stream), or an array or
    tensor ``[frames, size]`` of numbers.

    Attributes:
        size: Numbers in a frame, as found.
        hop: Seconds from one frame to the next.
        first: Seconds to the middle of the first frame.
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
        frames, name = _load(source), self.describe(source)
        if frames.ndim == 2 and frames.shape[1] != self.size:
            raise UserError(
                f"{name}: frames have {frames.shape[1]} numbers, expected {self.size}, as in "
                "training; compute them in the same way"
            )
        frames = _checked(frames, name)
        limit = max(self.max_seconds, MAX_SECONDS)
        seconds = len(frames) * self.hop
        if seconds > limit:
            raise UserError(
                f"{name}: {len(frames)} frames are {seconds:.1f} s; expected at most {limit:g} s; "
                "cut it into utterances"
            )
        return frames

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
    def load(path: Path) -> "FeatureReader":
        """Read what `save` wrote.

        Raises:
            UserError: The file is missing or damaged.
        """
        saved = read_saved(path, "features")
        try:
            return FeatureReader(**saved)
        except TypeError as error:
            raise UserError(f"{path}: not what kochi saved ({error}); copy it again") from None

    @staticmethod
    def like(row: FeatureRow, data: config.FeaturesData) -> "FeatureReader":
        """Return a reader of frames of the size that this row's have, not yet fitted.

        Raises:
            UserError: The row cannot be read.
        """
        options = data.front_end
        return FeatureReader(
            size=_checked(_load(row), row.name).shape[1],
            hop=options.hop_seconds,
            first=options.first_seconds,
            deltas=options.deltas,
            normalisation=options.normalisation,
            max_seconds=data.max_seconds,
        )


def keys_of(path: File) -> tuple[str, ...]:
    """Name the arrays of an .npz file, in their order.

    Raises:
        UserError: The file is missing or is no .npz file.
    """
    return tuple(_archive(path).files)


def _checked(frames: np.ndarray, name: str) -> Float32[np.ndarray, "frames size"]:
    if frames.ndim != 2 or frames.dtype.kind not in "fiu":
        raise UserError(
            f"{name}: found an array of shape {frames.shape} and type {frames.dtype}, expected "
            "numbers [frames, size]"
        )
    if not frames.size:
        raise UserError(f"{name}: holds no frames (shape {frames.shape}); leave it out")
    with np.errstate(over="ignore"):
        frames = np.ascontiguousarray(frames, np.float32)
    bad = ~np.isfinite(frames).all(1)
    if bad.any():
        raise UserError(
            f"{name}: frame {int(bad.argmax()) + 1} of {len(frames)} holds NaN or infinity; "
            "expected finite numbers: compute it again or leave it out"
        )
    return frames


def _load(source: FeatureSource) -> np.ndarray:
    if isinstance(source, Tensor):
        return source.detach().cpu().numpy()
    if isinstance(source, np.ndarray):
        return source
    row = source if isinstance(source, FeatureRow) else FeatureRow(Path(source))
    if row.key is None:
        return _read(row.path, row.name, np.ndarray)
    archive = _archive(row.path)
    if row.key not in archive.files:
        found = f"{len(archive.files)} arrays ({', '.join(archive.files[:3])}, ...)"
        raise UserError(f"{row.name}: no such array; the file has {found}")
    try:
        return archive[row.key]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{row.name}: cannot be read ({error}); copy the file again") from None


def _archive(path: File) -> Any:
    try:
        changed = 0 if isinstance(path, Contents) else path.stat().st_mtime_ns
    except OSError:
        changed = 0  # reading says what is wrong
    return _open_archive(path, changed)


@lru_cache(maxsize=1)
def _open_archive(path: File, changed: int) -> Any:
    return _read(path, str(path), np.lib.npyio.NpzFile)


def _load_file(path: File) -> Any:
    """Load an array or open an archive; its file closes with it (numpy leaves bad ones open)."""
    file = path.open("rb")
    try:
        found = np.load(file, allow_pickle=False)
    except Exception:
        file.close()
        raise
    if isinstance(found, np.ndarray):
        file.close()
    else:
        weakref.finalize(found, file.close)
    return found


def _read(path: File, name: str, expected: Any) -> Any:
    try:
        found = _load_file(path)
    except FileNotFoundError:
        raise UserError(f"{name}: no such file; check the path") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else "it is empty"
        raise UserError(f"{name}: cannot be read as .npy or .npz ({reason})") from None
    if not isinstance(found, expected):
        hint = "name one of its arrays" if expected is np.ndarray else "expected an .npz file"
        raise UserError(f"{name}: found {'.npz' if expected is np.ndarray else '.npy'}; {hint}")
    return found
