"""A picture word by word, with the alignment laid over it: PNG or SVG.

As in figures 2 to 5 of Xu et al. 2015, https://arxiv.org/abs/1502.03044: what is looked at stays
bright, the rest is dimmed. Their maps are smoothed; here each cell of the memory is shown as it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kochi.view.figures import (
    picture_format,
    printable,
    save_figure,
    set_fonts,
    shortened,
    size_of,
)
from kochi.view.labelled import visible, visible_title

# All lengths are inches.
_PANEL = 1.5  # the longer side of a picture
_LABEL, _SPACE, _EDGE = 0.28, 0.15, 0.12
_TITLE_POINTS, _LABEL_POINTS = 11.0, 9.0
_MOST_COLUMNS = 6
_DIM = 0.75  # how dark it is where nothing is looked at


@dataclass(frozen=True)
class Looked:
    """A picture, and how much of it was looked at when each word was written.

    Attributes:
        pixels: The picture itself, in its own size.
        corners: Left, top, right and bottom edge of the picture in what the model read, in the
            model's pixels.
        size: Height and width of what the model read.
        words: What was written.
        alignments: Over the cells, one a word.
        cell: Height and width of a cell, in the model's pixels.
    """

    pixels: UInt8[np.ndarray, "height width channels"]
    corners: tuple[int, int, int, int]
    size: tuple[int, int]
    words: Sequence[str]
    alignments: Float[np.ndarray, "words rows columns"]
    cell: tuple[int, int]


def peaks(looked: Looked) -> list[tuple[float, float, float]]:
    """Say where each word's peak is: from the left, from the top, and its share of the alignment.

    Places are the middles of cells, in pixels of the picture itself; where the middle lies in the
    white around it, the nearest pixel.
    """
    left, top, right, bottom = looked.corners
    height, width = looked.pixels.shape[:2]
    found = []
    for weights in looked.alignments:
        row, column = np.unravel_index(int(weights.argmax()), weights.shape)
        across = (float(column) + 0.5) * looked.cell[1] - left
        down = (float(row) + 0.5) * looked.cell[0] - top
        place = (
            min(max(across * width / (right - left), 0.0), width - 1.0),
            min(max(down * height / (bottom - top), 0.0), height - 1.0),
        )
        found.append((*place, float(weights[row, column])))
    return found


def save_overlay(looked: Looked, path: Path, title: str | None = None) -> None:
    """Save the picture alone, then once for each word.

    Args:
        looked: What to draw.
        path: Where to; .png or .svg.
        title: A line above.

    Raises:
        UserError: The path ends in something else, or cannot be written.
        ValueError: There are not as many alignments as words.
    """
    if len(looked.words) != len(looked.alignments):
        raise ValueError(
            f"alignments: found {len(looked.alignments)}, expected {len(looked.words)}, one a word"
        )
    kind = picture_format(path)
    height, width = (_PANEL * side / max(looked.size) for side in looked.size)
    width = max(width, _PANEL / 3)
    count = len(looked.words) + 1
    columns = min(count, max(_MOST_COLUMNS, int(_MOST_COLUMNS * _PANEL / 2 / width)))
    rows = math.ceil(count / columns)
    across, down = width + _SPACE, height + _LABEL + _SPACE
    breadth = columns * across + 2 * _EDGE
    title = printable(visible_title(title), kind) if title else ""
    head = size_of(title, _TITLE_POINTS, breadth - 2 * _EDGE)[1] + _SPACE if title else 0.0
    total = breadth, rows * down + head + 2 * _EDGE
    figure = Figure(figsize=total)
    for place in range(count):
        row, column = divmod(place, columns)
        left = (_EDGE + column * across) / total[0]
        bottom = 1.0 - (_EDGE + head + row * down + _LABEL + height) / total[1]
        axes = figure.add_axes((left, bottom, width / total[0], height / total[1]))
        _draw(axes, looked, place - 1)
        if place:
            label = printable(visible(looked.words[place - 1]), kind)
            label = shortened(label, _LABEL_POINTS, across - _EDGE / 2)
            axes.set_title(label, fontsize=_LABEL_POINTS, loc="left", pad=3)
    if title:
        corner = _EDGE / total[0], 1.0 - _EDGE / total[1]
        figure.text(*corner, title, va="top", fontsize=_TITLE_POINTS, wrap=True)
    set_fonts(figure)
    save_figure(figure, path)


def _draw(axes: Axes, looked: Looked, word: int) -> None:
    """Draw the picture, dimmed by one word's alignment if there is one (``word`` from 0)."""
    left, top, right, bottom = looked.corners
    pixels = np.broadcast_to(looked.pixels, (*looked.pixels.shape[:2], 3))
    axes.imshow(pixels, extent=(left, right, bottom, top), interpolation="antialiased")
    if word >= 0:
        weights = looked.alignments[word]
        veil = np.zeros((*weights.shape, 4))
        veil[..., 3] = _DIM * (1.0 - weights / max(float(weights.max()), 1e-9))
        far = looked.cell[1] * weights.shape[1], looked.cell[0] * weights.shape[0]
        axes.imshow(veil, extent=(0, far[0], far[1], 0), interpolation="nearest")
    axes.set(
        xlim=(0, looked.size[1]), ylim=(looked.size[0], 0), xticks=[], yticks=[], aspect="auto"
    )
    for spine in axes.spines.values():
        spine.set(color="0.7", linewidth=0.5)
