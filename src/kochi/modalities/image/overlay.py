"""An image with the alignment of each word overlaid: PNG, SVG or PDF.

As in figures 2 to 5 of Xu et al. 2015, https://arxiv.org/abs/1502.03044, what is attended to is
bright and the rest is dimmed. Their maps are smoothed and scaled individually; here each cell of
the memory is shown unsmoothed, and all words share one scale, so that diffuse attention is dark
everywhere. A frame marks the region with the largest weight, with its share of the attention.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from numpy.lib.stride_tricks import sliding_window_view

from kochi.view.figures import (
    picture_format,
    printable,
    save_figure,
    set_fonts,
    shortened,
    size_of,
)
from kochi.view.labelled import scale_top, visible_title
from kochi.visible import visible

# All lengths are in inches.
_PANEL = 1.5  # the longer side of an image
_LABEL, _SPACE, _EDGE = 0.28, 0.15, 0.12
_TITLE_POINTS, _LABEL_POINTS, _NOTE_POINTS = 11.0, 9.0, 8.0
_BAR, _BAR_LABELS, _BAR_HEIGHT = 0.12, 0.85, 2.4
_NARROWEST = 4.5
_MOST_COLUMNS = 6
_DIM = 0.75  # darkness of cells without weight
_SHADES = LinearSegmentedColormap.from_list("shades", [(1.0 - _DIM,) * 3, (1.0,) * 3])
_FRAME = "#d55e00"  # Okabe and Ito's vermilion


@dataclass(frozen=True)
class Looked:
    """An image, and the weight of each of its cells for each predicted word.

    Attributes:
        pixels: The image, in its own size or reduced for display.
        corners: Left, top, right and bottom edge of the image within the input of the model, in
            pixels of the input.
        size: Height and width of the input of the model.
        words: The predicted words.
        alignments: One alignment over the cells per word.
        cell: Height and width of a cell, in pixels of the input.
        own_size: Height and width of the image in its own pixels; None for those of ``pixels``.
    """

    pixels: UInt8[np.ndarray, "height width channels"]
    corners: tuple[int, int, int, int]
    size: tuple[int, int]
    words: Sequence[str]
    alignments: Float[np.ndarray, "words rows columns"]
    cell: tuple[int, int]
    own_size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Peak:
    """The region of an image that a word attends to most.

    Attributes:
        row: Row of its first cell.
        column: Column of its first cell.
        share: Its share of the word's attention.
        across: Its middle, from the left in the image's own pixels.
        down: Its middle, from the top. A middle outside the image is moved to the nearest pixel.
    """

    row: int
    column: int
    share: float
    across: float
    down: float


def region(rows: int, columns: int) -> tuple[int, int]:
    """Return the size of the framed region in cells: a quarter of the image in each direction.

    >>> region(16, 16), region(1, 3)
    ((4, 4), (1, 1))
    """
    return max(1, round(rows / 4)), max(1, round(columns / 4))


def peaks(looked: Looked) -> list[Peak]:
    """Find the region that each word attends to most."""
    left, top, right, bottom = looked.corners
    height, width = looked.own_size or looked.pixels.shape[:2]
    high, wide = region(*looked.alignments.shape[1:])
    found = []
    for weights in looked.alignments:
        sums = sliding_window_view(weights, (high, wide)).sum((-2, -1))
        row, column = (
            int(position) for position in np.unravel_index(int(sums.argmax()), sums.shape)
        )
        across = (column + wide / 2) * looked.cell[1] - left
        down = (row + high / 2) * looked.cell[0] - top
        middle = (
            min(max(across * width / (right - left), 0.0), width - 1.0),
            min(max(down * height / (bottom - top), 0.0), height - 1.0),
        )
        found.append(Peak(row, column, float(sums[row, column]), *middle))
    return found


def save_overlay(looked: Looked, path: Path, title: str | None = None) -> None:
    """Save a chart of the image alone, followed by the image once for each word.

    Args:
        looked: What to draw.
        path: The output file; .png, .svg or .pdf.
        title: A title above the chart.

    Raises:
        UserError: The path has another suffix, or cannot be written.
        ValueError: The numbers of alignments and words differ.
    """
    if len(looked.words) != len(looked.alignments):
        raise ValueError(
            f"alignments: found {len(looked.alignments)}, expected {len(looked.words)}, one a word"
        )
    kind = picture_format(path)
    height, width = (_PANEL * side / max(looked.size) for side in looked.size)
    width = max(width, _PANEL / 3)
    count = len(looked.words) + 1
    across, down = width + _SPACE, height + _LABEL + _SPACE
    columns = _num_columns(count, across, down)
    rows = math.ceil(count / columns)
    breadth = max(_NARROWEST, columns * across + 2 * _EDGE)
    title = printable(visible_title(title), kind) if title else ""
    head = size_of(title, _TITLE_POINTS, breadth - 2 * _EDGE)[1] + _SPACE if title else 0.0
    note = _note(looked)
    foot = size_of(note, _NOTE_POINTS, breadth - 2 * _EDGE)[1] + _SPACE
    total = breadth + _BAR + _BAR_LABELS, rows * down + head + foot + 2 * _EDGE
    figure = Figure(figsize=total)
    top, found = scale_top(looked.alignments.reshape(1, -1)), peaks(looked)
    for position in range(count):
        row, column = divmod(position, columns)
        left = (_EDGE + column * across) / total[0]
        bottom = 1.0 - (_EDGE + head + row * down + _LABEL + height) / total[1]
        axes = figure.add_axes((left, bottom, width / total[0], height / total[1]))
        _draw(axes, looked, position - 1, top)
        if position:
            peak = found[position - 1]
            _draw_frame(axes, looked, peak)
            share = f" {peak.share:.0%}"
            room = across - _EDGE / 2 - size_of(share, _LABEL_POINTS)[0]
            label = printable(visible(looked.words[position - 1]), kind)
            label = shortened(label, _LABEL_POINTS, room) + share
            axes.set_title(label, fontsize=_LABEL_POINTS, loc="left", pad=3)
    if title:
        corner = _EDGE / total[0], 1.0 - _EDGE / total[1]
        figure.text(*corner, title, va="top", fontsize=_TITLE_POINTS, wrap=True)
    corner = _EDGE / total[0], _EDGE / total[1]
    figure.text(*corner, note, va="bottom", fontsize=_NOTE_POINTS, color="0.35", wrap=True)
    _draw_bar(figure, top, breadth, min(_BAR_HEIGHT, rows * down - _LABEL - _SPACE), head)
    set_fonts(figure)
    save_figure(figure, path)


def _num_columns(count: int, across: float, down: float) -> int:
    """Return the number of tiles per row: about six, more if a chart of many would be too high."""
    usual = max(_MOST_COLUMNS, int(_MOST_COLUMNS * (_PANEL + _SPACE) / (2 * across)))
    square = math.ceil(math.sqrt(count * down / across))
    return min(count, max(usual, square))


def _note(looked: Looked) -> str:
    rows, columns = looked.alignments.shape[1:]
    high, wide = region(rows, columns)
    cells = "the cell" if high * wide == 1 else f"the {high} x {wide} cells"
    even = high * wide / max(1, rows * columns)
    return (
        f"Frame: {cells} attended to most, and their share of the word's attention "
        f"({even:.0%} if spread evenly)."
    )


def _draw_bar(figure: Figure, top: float, left: float, height: float, head: float) -> None:
    """Draw the scale bar that all words share."""
    width, whole = figure.get_size_inches()
    bottom = whole - _EDGE - head - _LABEL - height
    position = (left / width, bottom / whole, _BAR / width, height / whole)
    axes = figure.add_axes(position)
    bar = figure.colorbar(ScalarMappable(Normalize(0.0, top), _SHADES), cax=axes)
    bar.set_label("share of a cell", fontsize=_NOTE_POINTS)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.tick_params(labelsize=_NOTE_POINTS)
    axes.locator_params(axis="y", nbins=4)


def _draw_frame(axes: Axes, looked: Looked, peak: Peak) -> None:
    high, wide = region(*looked.alignments.shape[1:])
    cell_height, cell_width = looked.cell
    # The last cells may extend beyond the input of the model.
    left, top = peak.column * cell_width, peak.row * cell_height
    right = min(left + wide * cell_width, looked.size[1])
    bottom = min(top + high * cell_height, looked.size[0])
    for colour, thick in (("white", 2.4), (_FRAME, 1.2)):
        frame = Rectangle((left, top), right - left, bottom - top, fill=False)
        frame.set(edgecolor=colour, linewidth=thick)
        axes.add_patch(frame)


def _draw(axes: Axes, looked: Looked, word: int, top: float) -> None:
    """Draw the image, dimmed by the alignment of a word if there is one (``word`` from 0)."""
    left, upper, right, bottom = looked.corners
    pixels = np.broadcast_to(looked.pixels, (*looked.pixels.shape[:2], 3))
    axes.imshow(pixels, extent=(left, right, bottom, upper), interpolation="antialiased")
    if word >= 0:
        weights = looked.alignments[word]
        veil = np.zeros((*weights.shape, 4))
        veil[..., 3] = _DIM * (1.0 - np.clip(weights / top, 0.0, 1.0))
        far = looked.cell[1] * weights.shape[1], looked.cell[0] * weights.shape[0]
        axes.imshow(veil, extent=(0, far[0], far[1], 0), interpolation="nearest")
    axes.set(
        xlim=(0, looked.size[1]), ylim=(looked.size[0], 0), xticks=[], yticks=[], aspect="auto"
    )
    for spine in axes.spines.values():
        spine.set(color="0.7", linewidth=0.5)
