"""Draw a scene."""

import math
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from kochi.scenes.scene import COLOURS, SIDE, Place, Scene

if TYPE_CHECKING:
    from PIL import ImageDraw

FINER = 4  # scale of the drawing before it is reduced, so that edges are smooth


def draw_picture(scene: Scene) -> UInt8[np.ndarray, "side side 3"]:
    """Return the pixels of a scene on a white background."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (SIDE * FINER, SIDE * FINER), "white")
    pen = ImageDraw.Draw(image)
    for group in scene.groups:
        for place in group.places:
            _draw_shape(pen, group.name.shape, place, COLOURS[group.name.colour])
    return np.asarray(image.reduce(FINER))


def _draw_shape(
    pen: "ImageDraw.ImageDraw", shape: str, place: Place, colour: tuple[int, int, int]
) -> None:
    left, top, side = (FINER * length for length in place)
    right, bottom = left + side, top + side
    if shape == "circle":
        pen.ellipse((left, top, right - 1, bottom - 1), fill=colour)
    elif shape == "square":
        pen.rectangle((left, top, right - 1, bottom - 1), fill=colour)
    elif shape == "triangle":
        pen.polygon(
            [((left + right) / 2, top), (right - 1, bottom - 1), (left, bottom - 1)], colour
        )
    else:
        pen.polygon(_star((left + right) / 2, (top + bottom) / 2, (right - left) / 2), colour)


def _star(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """Return the corners of a five-pointed star, with its first point up."""
    corners = []
    for number in range(10):
        angle, reach = math.pi * number / 5, radius if number % 2 == 0 else 0.42 * radius
        corners.append((x + reach * math.sin(angle), y - reach * math.cos(angle)))
    return corners
