"""The reader of images: 8-bit pixels in the corpus, floats in the batch."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float32, Integer, Shaped, UInt8
from torch import Tensor
from typing_extensions import override

from kochi import config
from kochi.contents import File
from kochi.data.readers.base import Numbers, Reader, Row, attempt
from kochi.data.readers.saving import read_kind, write_kind
from kochi.data.readers.taking import array_of, file_of, is_array, is_file, is_image
from kochi.errors import UserError
from kochi.inputs import PictureInput
from kochi.modalities.image.distortion import Distortion, distort
from kochi.modalities.image.files import (
    Picture,
    Pixels,
    check_sides,
    decoded,
    from_array,
    from_image,
    image_size,
    picture_size,
    read_picture,
)
from kochi.modalities.image.fitting import Placement, fitted, place
from kochi.modalities.image.tables import Pixels as Fitting
from kochi.tables import Table

PictureSource = Any  # see `PictureReader`; Pillow is not imported until it is needed
SQUARE = 64  # pixels that count as one position of a batch
_HEADER = 2  # 16-bit numbers before the pixels: height and width
_THREADS = 4
CHANNELS = frozenset((1, 3))  # sizes of the last axis of an array of pixels


@dataclass(frozen=True, kw_only=True)
class PictureReader(Reader[PictureSource]):
    """Read images, fitted into the input size of the model.

    A source is a `Picture`, a file that Pillow can read (its path, bytes or a binary stream), a
    Pillow image, or 8-bit pixels as an array or tensor ``[height, width]`` or
    ``[height, width, channels]`` (a tensor also ``[channels, height, width]``). A row contains
    height and width, two bytes each, and the pixels. In a batch white is 0 and black 2, so that
    the white around an image is 0.

    Attributes:
        front_end: The run file's table of pixels.
        distortion: The distortion in training.
    """

    unit: ClassVar[str] = "pixels"
    takes: ClassVar[str] = (
        "the path, bytes or open file of a picture, a PIL image, or 8-bit pixels as an array or "
        "tensor [height, width, channels]"
    )
    front_end: Fitting
    distortion: Distortion | None = None

    @property
    def channels(self) -> int:
        """Number of channels of a pixel."""
        return 3 if self.front_end.colour == "rgb" else 1

    @property
    @override
    def longest(self) -> int:
        return 2 * _HEADER + self.channels * self.front_end.height * self.front_end.width

    @property
    @override
    def draws(self) -> bool:
        return self.distortion is not None

    @property
    @override
    def dtype(self) -> "np.dtype[Any]":
        return np.dtype(np.uint8)

    @property
    @override
    def inputs(self) -> PictureInput:
        return PictureInput(self.channels, self.front_end.height, self.front_end.width)

    @override
    def is_one(self, source: Any) -> bool:
        if is_array(source):
            channels = (source.shape[-1], source.shape[0] if isinstance(source, Tensor) else 0)
            return source.ndim <= 2 or (source.ndim == 3 and not CHANNELS.isdisjoint(channels))
        return isinstance(source, Picture) or is_image(source) or is_file(source)

    @override
    def taken(self, source: Any) -> PictureSource | None:
        if isinstance(source, Picture | str) or is_image(source):
            return source
        array = array_of(source)
        if array is not None:
            first = isinstance(source, Tensor) and array.ndim == 3 and array.shape[0] in CHANNELS
            return array.transpose(1, 2, 0) if first and array.shape[2] not in CHANNELS else array
        file = file_of(source)
        return None if file is None else Picture(file)

    @override
    def encode(self, source: PictureSource) -> UInt8[np.ndarray, " numbers"]:
        pixels = self.fitted_pixels(source)
        size = np.array(pixels.shape[:2], np.uint16).view(np.uint8)
        return np.concatenate([size, pixels.ravel()])

    @override
    def encode_batch(
        self, sources: Sequence[PictureSource]
    ) -> Sequence[UInt8[np.ndarray, " numbers"]]:
        return _side_by_side(self.encode, sources)

    @override
    def attempt_batch(self, sources: Sequence[PictureSource]) -> list[Row | UserError]:
        return _side_by_side(partial(attempt, self.encode), sources)

    def fitted_pixels(self, source: PictureSource) -> UInt8[np.ndarray, "height width channels"]:
        """Return the fitted pixels of a source, which the model reads.

        Raises:
            UserError: As in `read_picture`, or a side becomes too short.
        """
        options = self.front_end
        if isinstance(source, np.ndarray) or is_image(source):
            return self._fitted(source, self.pixels(source))
        room = options.height, options.width
        with decoded(_named(source), options.colour, room) as pixels:
            return self._fitted(source, pixels)

    def _fitted(
        self, source: PictureSource, pixels: Pixels
    ) -> UInt8[np.ndarray, "new_height new_width channels"]:
        placement = self.placement(*pixels.shape[:2])
        inner = placement.picture_height, placement.picture_width
        check_sides(*inner, f"{self.describe(source)}: made to fit")
        return fitted(pixels, placement)

    def pixels(self, source: PictureSource, most_side: int | None = None) -> Pixels:
        """Return a source's pixels before they are fitted.

        Args:
            source: The source.
            most_side: As in `kochi.modalities.image.files.read_picture`.

        Raises:
            UserError: As in `kochi.modalities.image.files.read_picture`.
        """
        colour = self.front_end.colour
        if isinstance(source, np.ndarray):
            return from_array(source, colour, most_side)
        if is_image(source):
            return from_image(source, colour, self.describe(source), most_side)
        return read_picture(_named(source), colour, most_side=most_side)

    def size(self, source: PictureSource) -> tuple[int, int]:
        """Return height and width of a source in its own pixels, upright.

        Raises:
            UserError: As in `kochi.modalities.image.files.picture_size`.
        """
        if isinstance(source, np.ndarray):
            return source.shape[0], source.shape[1]
        if is_image(source):
            return image_size(source, self.describe(source))
        return picture_size(_named(source))

    def placement(self, height: int, width: int) -> Placement:
        """Return where an image of this size is placed within the input of the model."""
        options = self.front_end
        return place(height, width, options.height, options.width, options.fit)

    @override
    def positions(self, lengths: Any) -> Any:
        pixels = (np.asarray(lengths) - 2 * _HEADER) // self.channels
        squares = -(-pixels // SQUARE)
        return squares.astype(np.int32) if squares.ndim else int(squares)

    @override
    def extent(self, row: Shaped[np.ndarray, " numbers"]) -> tuple[int, int]:
        height, width = row[: 2 * _HEADER].view(np.uint16).tolist()
        return height, width

    @override
    def collate(
        self,
        numbers: Numbers,
        lengths: Integer[np.ndarray, " batch"],
        draws: np.random.Generator | None = None,
    ) -> tuple[Float32[Tensor, "batch channels height width"], Bool[Tensor, "batch height width"]]:
        rows = np.split(numbers, np.cumsum(lengths)[:-1])
        sizes = [self.extent(row) for row in rows]
        height, width = (max(sides) for sides in zip(*sizes, strict=True))
        batch = np.zeros((len(rows), height, width, self.channels), np.float32)
        mask = np.zeros(batch.shape[:3], bool)
        for number, (row, (high, wide)) in enumerate(zip(rows, sizes, strict=True)):
            pixels = row[2 * _HEADER :].reshape(high, wide, self.channels)
            np.subtract(255.0, pixels, out=batch[number, :high, :wide])
            mask[number, :high, :wide] = True
        batch /= 127.5
        pictures = torch.from_numpy(batch).permute(0, 3, 1, 2)  # in memory the channels stay last
        if draws is not None and self.distortion is not None:
            for picture, (high, wide) in zip(pictures, sizes, strict=True):
                inner = picture[:, :high, :wide]
                inner.copy_(distort(inner, self.distortion, draws))
        return pictures, torch.from_numpy(mask)

    @override
    def for_training(self, training: config.Training) -> "PictureReader":
        options = training.distortion
        if options is None:
            return self
        return replace(self, distortion=Distortion(**options.model_dump()))

    @override
    def describe(self, source: PictureSource) -> str:
        if isinstance(source, Picture):
            return source.name
        if isinstance(source, str | Path):
            return str(source)
        if is_image(source):
            return f"picture of {source.width} x {source.height} pixels"
        return f"array of shape {tuple(source.shape)}"

    @override
    def save(self, path: Path) -> None:
        write_kind(path, "picture", {"front_end": self.front_end.model_dump(mode="json")})

    @staticmethod
    def load(path: File) -> "PictureReader":
        """Load what `save` wrote.

        Raises:
            UserError: The file is missing or damaged.
        """
        return PictureReader(front_end=read_kind(path, "picture", SavedPicture).front_end)


class SavedPicture(Table):
    """The contents of a file written by `PictureReader.save`."""

    kind: Literal["picture"]
    front_end: Fitting


def _side_by_side(make: Callable[[PictureSource], Any], sources: Sequence[PictureSource]) -> Any:
    """Apply a function to all sources, several at a time."""
    if len(sources) == 1:  # a new thread would keep its own memory
        return [make(sources[0])]
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(make, sources))


def _named(source: Picture | str | Path) -> Picture:
    return source if isinstance(source, Picture) else Picture(Path(source))
