"""Fit images into the size that a model reads, keeping their aspect ratio."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import UInt8

from kochi.data.pair import Box

if TYPE_CHECKING:
    from PIL import Image

STRIP = 1 << 20  # pixels that are copied at once
Fit = Literal["pad", "scale", "shrink"]


@dataclass(frozen=True)
class Placement:
    """The position of an image within the input of a model; lengths in pixels of the input.

    Attributes:
        height: Height of the input.
        width: Width of the input.
        top: Top edge of the image.
        left: Left edge of the image.
        picture_height: Height of the image.
        picture_width: Width of the image.
    """

    height: int
    width: int
    top: int
    left: int
    picture_height: int
    picture_width: int

    def box(self, box: Box, height: int, width: int) -> Box:
        """Map a box from the image to the input of the model.

        Args:
            box: Left, top, right, bottom, in the image's own pixels.
            height: The image's own height.
            width: The image's own width.

        >>> place(10, 20, 40, 40, "pad").box((0.0, 0.0, 10.0, 10.0), 10, 20)
        (0.0, 10.0, 20.0, 30.0)
        """
        down, across = self.picture_height / height, self.picture_width / width
        left, top, right, bottom = box
        return (
            self.left + across * left,
            self.top + down * top,
            self.left + across * right,
            self.top + down * bottom,
        )

    def box_back(self, box: Box, height: int, width: int) -> Box:
        """Map a box from the input of the model to the image; the inverse of `box`.

        Args:
            box: Left, top, right, bottom, in pixels of the input.
            height: The image's own height.
            width: The image's own width.

        >>> place(10, 20, 40, 40, "pad").box_back((0.0, 10.0, 20.0, 30.0), 10, 20)
        (0.0, 0.0, 10.0, 10.0)
        """
        down, across = height / self.picture_height, width / self.picture_width
        left, top, right, bottom = box
        return (
            across * (left - self.left),
            down * (top - self.top),
            across * (right - self.left),
            down * (bottom - self.top),
        )


def place(height: int, width: int, most_height: int, most_width: int, fit: Fit) -> Placement:
    """Compute the size and the position of a fitted image.

    Args:
        height: Height of the image.
        width: Width of the image.
        most_height: Maximum height of a model's input.
        most_width: Maximum width of a model's input.
        fit: "scale" makes the image as large as fits, "shrink" only reduces larger ones; "pad"
            scales and centres the image on a white one of the maximum size.

    >>> place(10, 20, 40, 40, "scale")
    Placement(height=20, width=40, top=0, left=0, picture_height=20, picture_width=40)
    """
    factor = min(most_height / height, most_width / width)
    if fit == "shrink":
        factor = min(factor, 1.0)
    down, across = (max(1, round(side * factor)) for side in (height, width))
    if fit != "pad":
        return Placement(down, across, 0, 0, down, across)
    top, left = (most_height - down) // 2, (most_width - across) // 2
    return Placement(most_height, most_width, top, left, down, across)


def fitted(
    pixels: UInt8[np.ndarray, "height width channels"], placement: Placement
) -> UInt8[np.ndarray, "new_height new_width channels"]:
    """Place pixels by bicubic resampling, with antialiasing filters."""
    from PIL import Image

    size = placement.picture_width, placement.picture_height
    if size != (pixels.shape[1], pixels.shape[0]):
        image = _image(pixels).resize(size, Image.Resampling.BICUBIC)
        pixels = np.asarray(image, np.uint8).reshape(size[1], size[0], -1)
    whole = np.full((placement.height, placement.width, pixels.shape[2]), 255, np.uint8)
    top, left = placement.top, placement.left
    whole[top : top + size[1], left : left + size[0]] = pixels
    return whole


def _image(pixels: UInt8[np.ndarray, "height width channels"]) -> "Image.Image":
    """Make a Pillow image in strips: at once it would need another copy of the pixels."""
    from PIL import Image

    height, width, channels = pixels.shape
    flat = pixels[..., 0] if channels == 1 else pixels
    image = Image.new("L" if channels == 1 else "RGB", (width, height))
    for top in range(0, height, step := max(1, STRIP // width)):
        image.paste(Image.fromarray(flat[top : top + step]), (0, top))
    return image
