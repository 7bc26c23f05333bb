"""Read images: upright, in 8 bits, with a white background in place of transparency."""

import io
import math
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Literal, cast

import numpy as np
from jaxtyping import Shaped, UInt8

from kochi.contents import File
from kochi.errors import UserError
from kochi.quiet import Quiet
from kochi.reading import open_file, parsing, read_open, size_of

if TYPE_CHECKING:
    from PIL import Image

# Formats that Pillow decodes itself. For some others it starts a program (EPS: Ghostscript).
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MAX_PIXELS = 50_000_000  # a decompression bomb of a few kilobytes may expand to gigabytes
MAX_BYTES = 1 << 29  # as many pixels of four times 16 bits
LARGE = 8_000_000  # pixels; larger pictures are decoded one at a time
STRIP = 1 << 20  # pixels that are converted at once
MIN_SIDE = 4
GAP = 2.0  # a JPEG is decoded at no less than this multiple of its final size
UPRIGHT = 1  # an EXIF orientation
ON_ITS_SIDE = (5, 6, 7, 8)  # EXIF orientations that swap height and width
HIGH = 257  # ratio of white in 16 bits to white in 8 bits
Colour = Literal["rgb", "grey"]
Pixels = UInt8[np.ndarray, "height width channels"]


_pillow_is_quiet = Quiet(module="PIL")  # its warnings concern damage that errors report as well


@dataclass(frozen=True, slots=True)
class Picture:
    """The location of an image.

    Attributes:
        path: A file that Pillow can read (png, jpeg, webp, gif, bmp, tiff, ...), on disk or in
            memory.
        where: File and line of the manifest that names it, for messages.
    """

    path: File
    where: str = ""

    def __str__(self) -> str:
        return self.path.name

    @property
    def name(self) -> str:
        """The name of the image in messages."""
        return f"{self.where}: {self.path}" if self.where else str(self.path)


def read_picture(
    picture: Picture,
    colour: Colour = "rgb",
    room: tuple[int, int] | None = None,
    most_side: int | None = None,
) -> Pixels:
    """Read an image as 8-bit pixels.

    It is rotated according to its EXIF orientation. Transparent areas become white. Of 16 bits, the
    8 higher ones are used; CMYK becomes RGB without a colour profile.

    Args:
        picture: The location of the image.
        colour: "rgb", or "grey" for one channel (ITU-R 601-2 luma).
        room: Height and width into which it will be fitted: a JPEG may then be decoded at a half, a
            fourth or an eighth of its size (which is faster), if that is still ``GAP`` times its
            fitted size. If its sides are not multiples of this factor, the right and lower edges
            shift by less than half a pixel in the fitted image.
        most_side: Reduce the image by an integer factor, averaging squares of pixels, so that no
            side is twice as long as this; for display.

    Raises:
        UserError: The file is missing, is not an image, is truncated or animated, or its sides are
            too long or too short.
    """
    with decoded(picture, colour, room, most_side) as pixels:
        return pixels


@contextmanager
def decoded(
    picture: Picture,
    colour: Colour = "rgb",
    room: tuple[int, int] | None = None,
    most_side: int | None = None,
) -> Iterator[Pixels]:
    """Read an image as `read_picture` does; while a large one is in use, other threads wait."""
    name = picture.name
    with ExitStack() as held:
        with _opened(picture) as image:
            _check_header(image, name)
            if room is not None:
                _let_reduce(image, room)
            if math.prod(image.size) > LARGE:
                held.enter_context(_one_large)
            pixels = _load(image, colour, name, most_side)
        del image  # four bytes per pixel
        yield pixels


_one_large = threading.Lock()


def _load(image: "Image.Image", colour: Colour, name: str, most_side: int | None = None) -> Pixels:
    what = "a picture: it is cut off or damaged"
    with _pillow_is_quiet(), parsing(name, what, "expected a whole picture; copy it again"):
        image.load()
        return to_pixels(image, colour, name, most_side)


def picture_size(picture: Picture) -> tuple[int, int]:
    """Return height and width of an image, rotated as by `read_picture`, from its header.

    Raises:
        UserError: As in `read_picture`, as far as the header shows it.
    """
    with _opened(picture) as image:
        _check_header(image, picture.name)
        return image_size(image, picture.name)


def image_size(image: "Image.Image", name: str) -> tuple[int, int]:
    """Return height and width of a Pillow image, rotated according to its EXIF orientation.

    Raises:
        UserError: The orientation cannot be read.
    """
    width, height = image.size
    with _pillow_is_quiet(), parsing(name, "a picture"):
        on_its_side = _orientation(image) in ON_ITS_SIDE
    return (width, height) if on_its_side else (height, width)


def _orientation(image: "Image.Image") -> int:
    from PIL import ExifTags

    return image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)


@contextmanager
def _opened(picture: Picture) -> "Iterator[Image.Image]":
    from PIL import Image, UnidentifiedImageError

    name = picture.name
    remedy = f"name those in it, such as {picture.path}/*.png"
    named = bool(picture.where)  # in a manifest, perhaps written by somebody else
    with open_file(picture.path, "a picture", name=name, folder=remedy, pipes=not named) as file:
        size = size_of(file)
        if size is None or size > MAX_BYTES:
            file = io.BytesIO(read_open(file, "a picture", MAX_BYTES, name))
            size = len(file.getbuffer())
        if not size:
            raise UserError(f"{name}: is empty (0 bytes); expected a picture; copy it again")
        with _pillow_is_quiet(), parsing(name, "a picture"):
            try:
                image = Image.open(cast("IO[bytes]", file), formats=FORMATS)
            except Image.DecompressionBombError:
                raise UserError(_too_large(name, "far too many")) from None
            except UnidentifiedImageError:
                raise UserError(
                    f"{name}: is not a picture that can be read; expected png, jpeg, webp, gif, "
                    "bmp or tiff; convert it"
                ) from None
        with image:
            yield image


def _check_header(image: "Image.Image", name: str) -> None:
    """Reject unsuitable images by their header, before the pixels are decoded."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UserError(_too_large(name, f"{width} x {height}"))
    check_sides(height, width, name)
    with _pillow_is_quiet(), parsing(name, "a picture"):
        several = getattr(image, "is_animated", False)  # n_frames would read all of them
    if several:
        raise UserError(
            f"{name}: is animated or has several pages; expected one picture; save the one that is "
            "meant"
        )


def _too_large(name: str, found: str) -> str:
    return (
        f"{name}: found {found} pixels; expected at most {MAX_PIXELS // 10**6} million; make it "
        "smaller"
    )


def _let_reduce(image: "Image.Image", room: tuple[int, int]) -> None:
    """Have a JPEG decoded smaller, as `PIL.Image.Image.thumbnail` does; it may lie on its side."""
    width, height = image.size
    factor = max(min(one / height, other / width) for one, other in (room, room[::-1]))
    if factor < 1.0:
        wide, high = (math.ceil(GAP * factor * side) for side in (width, height))
        image.draft(None, (wide, high))


def check_sides(height: int, width: int, name: str) -> None:
    """Reject an image that is too small to show anything.

    Raises:
        UserError: A side is shorter than ``MIN_SIDE`` pixels.
    """
    if min(width, height) < MIN_SIDE:
        raise UserError(
            f"{name}: found {width} x {height} pixels (width x height); expected at least "
            f"{MIN_SIDE} on a side; leave it out"
        )


def to_pixels(
    image: "Image.Image", colour: Colour, name: str, most_side: int | None = None
) -> Pixels:
    """Convert a Pillow image into pixels; see `read_picture`.

    Raises:
        UserError: The image contains numbers that are not colours.
    """
    from PIL import ImageOps

    if _orientation(image) != UPRIGHT:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        _check_colours(np.asarray(image), image.mode, name)
    width, height = image.size
    factor = 1 if most_side is None else max(1, max(width, height) // most_side)
    shape = -(-height // factor), -(-width // factor), 3 if colour == "rgb" else 1
    pixels = np.empty(shape, np.uint8)
    for top in range(0, height, step := factor * max(1, STRIP // (width * factor))):
        strip = _convert(image.crop((0, top, width, min(height, top + step))), colour)
        strip = np.asarray(strip.reduce(factor) if factor > 1 else strip, np.uint8)
        place = top // factor
        pixels[place : place + len(strip)] = strip.reshape(len(strip), *shape[1:])
    return pixels


def _convert(image: "Image.Image", colour: Colour) -> "Image.Image":
    from PIL import Image

    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.int64) // HIGH).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB" if colour == "rgb" else "L")


def _check_colours(numbers: Shaped[np.ndarray, "height width"], mode: str, name: str) -> None:
    if mode == "F" or numbers.min() < 0 or numbers.max() > 255 * HIGH:
        raise UserError(
            f"{name}: pixels are numbers from {numbers.min():g} to {numbers.max():g}; expected "
            "colours of 8 or 16 bits; scale them and save it again"
        )


def from_image(
    image: "Image.Image", colour: Colour, name: str, most_side: int | None = None
) -> Pixels:
    """Return the pixels of an open Pillow image; see `read_picture`.

    Raises:
        UserError: As in `read_picture`.
    """
    _check_header(image, name)
    return _load(image, colour, name, most_side)


def from_array(array: Any, colour: Colour, most_side: int | None = None) -> Pixels:
    """Return the pixels of an array.

    Args:
        array: 8-bit numbers ``[height, width]`` or ``[height, width, 1 or 3]``.
        colour: The colour mode of the result.
        most_side: As in `read_picture`.

    Raises:
        UserError: The array has another shape or type.
    """
    from PIL import Image

    pixels = np.asarray(array)
    shape = pixels.shape
    if pixels.dtype != np.uint8 or len(shape) not in (2, 3) or shape[2:] not in ((), (1,), (3,)):
        raise UserError(
            f"array of shape {shape} and type {pixels.dtype}: expected 8-bit pixels "
            "[height, width] or [height, width, 3]"
        )
    name = f"array of shape {shape}"
    check_sides(shape[0], shape[1], name)
    flat = pixels.reshape(shape[:2]) if shape[2:] in ((), (1,)) else pixels
    return to_pixels(Image.fromarray(flat), colour, name, most_side)
