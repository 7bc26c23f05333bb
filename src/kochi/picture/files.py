"""Read pictures: upright, in 8 bits, with white behind what is transparent."""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Shaped, UInt8

from kochi.contents import File
from kochi.errors import UserError
from kochi.quiet import Quiet

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 50_000_000  # a bomb of a few kilobytes may unpack to gigabytes
MIN_SIDE = 4
GAP = 2.0  # how many times as large as it will be a JPEG is read at least
ON_ITS_SIDE = (5, 6, 7, 8)  # EXIF orientations whose height and width are the other way round
HIGH = 257  # a 16-bit white over an 8-bit one
Colour = Literal["rgb", "grey"]
Pixels = UInt8[np.ndarray, "height width channels"]


@dataclass(frozen=True, slots=True)
class Picture:
    """Where a picture is.

    Attributes:
        path: A file that Pillow can read (png, jpeg, webp, gif, bmp, tiff, ...), on disk or held
            in memory.
        where: File and line of the manifest that names it, for messages.
    """

    path: File
    where: str = ""

    def __str__(self) -> str:
        return self.path.name

    @property
    def name(self) -> str:
        """What messages call the picture."""
        return f"{self.where}: {self.path}" if self.where else str(self.path)


def read_picture(
    picture: Picture, colour: Colour = "rgb", room: tuple[int, int] | None = None
) -> Pixels:
    """Read a picture as 8-bit pixels.

    It is turned as its EXIF orientation says. What is transparent lies over white. 16 bits become
    the 8 higher ones; CMYK becomes RGB without a colour profile.

    Args:
        picture: Where it is.
        colour: "rgb", or "grey" for one channel (ITU-R 601-2 luma).
        room: Height and width into which it will be fitted: a JPEG may then come as a half, a
            fourth or an eighth of its size (which its decoder makes in less time), if that is
            still ``GAP`` times as large as it will be. Where its sides are no multiples of that,
            the far edges come to lie less than half a pixel off in what is fitted.

    Raises:
        UserError: The file is missing, is no picture, is cut off or animated, or its sides are too
            long or too short.
    """
    name = picture.name
    with guard(), _opened(picture) as image:
        _check_header(image, name)
        if room is not None:
            _let_reduce(image, room)
        try:
            image.load()
        except (OSError, SyntaxError, ValueError, MemoryError, EOFError) as error:
            raise UserError(
                f"{name}: is cut off or damaged ({_reason(error)}); expected a whole picture; copy "
                "it again"
            ) from None
        return to_pixels(image, colour, name)


def picture_size(picture: Picture) -> tuple[int, int]:
    """Return height and width of a picture, turned as `read_picture` turns it; from its header.

    Raises:
        UserError: As in `read_picture`, as far as the header says.
    """
    with guard(), _opened(picture) as image:
        _check_header(image, picture.name)
        return image_size(image)


def image_size(image: "Image.Image") -> tuple[int, int]:
    """Return height and width of an image of Pillow, turned as its EXIF orientation says."""
    from PIL import ExifTags

    width, height = image.size
    on_its_side = image.getexif().get(ExifTags.Base.Orientation, 1) in ON_ITS_SIDE
    return (width, height) if on_its_side else (height, width)


guard = Quiet(module="PIL")  # its warning of very large pictures; ``MAX_PIXELS`` is below that


@contextmanager
def _opened(picture: Picture) -> "Iterator[Image.Image]":
    from PIL import Image, UnidentifiedImageError

    name = picture.name
    try:
        content = picture.path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{name}: no such file; expected a picture; check the path") from None
    except IsADirectoryError:
        raise UserError(
            f"{name}: is a folder; expected a picture; name those in it, such as "
            f"{picture.path}/*.png"
        ) from None
    except OSError as error:
        raise UserError(f"{name}: cannot be opened: {error.strerror}; check the file") from None
    if not content:
        raise UserError(f"{name}: is empty (0 bytes); expected a picture; copy it again")
    try:
        image = Image.open(io.BytesIO(content))
    except Image.DecompressionBombError:
        raise UserError(_too_large(name, "far too many")) from None
    except UnidentifiedImageError:
        raise UserError(
            f"{name}: is not a picture that can be read; expected png, jpeg, webp, gif, bmp or "
            "tiff; convert it"
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UserError(f"{name}: cannot be read ({_reason(error)}); copy it again") from None
    with image:
        yield image


def _check_header(image: "Image.Image", name: str) -> None:
    """Refuse by the header alone, before the pixels are unpacked."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UserError(_too_large(name, f"{width} x {height}"))
    check_sides(height, width, name)
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise UserError(
            f"{name}: is animated or has several pages ({frames}); expected one picture; save the "
            "one that is meant"
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
    """Refuse a picture on which there is nothing to see.

    Raises:
        UserError: A side is shorter than ``MIN_SIDE`` pixels.
    """
    if min(width, height) < MIN_SIDE:
        raise UserError(
            f"{name}: found {width} x {height} pixels (width x height); expected at least "
            f"{MIN_SIDE} on a side; leave it out"
        )


def to_pixels(image: "Image.Image", colour: Colour, name: str) -> Pixels:
    """Turn what Pillow read into pixels; see `read_picture`.

    Raises:
        UserError: The picture holds numbers that are no colours.
    """
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_eight_bits(np.asarray(image), image.mode, name))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    pixels = np.asarray(image.convert("RGB" if colour == "rgb" else "L"), np.uint8)
    return pixels.reshape(*pixels.shape[:2], -1)


def _eight_bits(
    numbers: Shaped[np.ndarray, "height width"], mode: str, name: str
) -> UInt8[np.ndarray, "height width"]:
    if mode == "F" or numbers.min() < 0 or numbers.max() > 255 * HIGH:
        raise UserError(
            f"{name}: pixels are numbers from {numbers.min():g} to {numbers.max():g}; expected "
            "colours of 8 or 16 bits; scale them and save it again"
        )
    return (numbers.astype(np.int64) // HIGH).astype(np.uint8)


def _reason(error: BaseException) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def from_image(image: "Image.Image", colour: Colour, name: str) -> Pixels:
    """Take a picture that Pillow has opened; see `read_picture`.

    Raises:
        UserError: As in `read_picture`.
    """
    _check_header(image, name)
    try:
        return to_pixels(image, colour, name)
    except (OSError, SyntaxError, EOFError) as error:  # opened, but not loaded before
        raise UserError(f"{name}: is cut off or damaged ({_reason(error)})") from None


def from_array(array: Any, colour: Colour) -> Pixels:
    """Take pixels that somebody has read already.

    Args:
        array: 8-bit numbers ``[height, width]`` or ``[height, width, 1 or 3]``.
        colour: What they are to become.

    Raises:
        UserError: They are something else.
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
    return to_pixels(Image.fromarray(flat), colour, name)
