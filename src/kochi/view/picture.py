"""Alignments as figures: PNG, SVG or PDF."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from rich.cells import cell_len, set_cell_size

from kochi.view.figures import (
    picture_format,
    printable,
    save_figure,
    set_fonts,
    without_glyph_warnings,
)
from kochi.view.labelled import (
    LabelledAlignment,
    Weights,
    label_alignment,
    labelled_positions,
    scale_top,
    thinned_note,
    visible_title,
)
from kochi.visible import visible

# All lengths are inches.
_LARGEST_CELL, _SMALLEST_CELL = 0.36, 0.13
_COMFORTABLE_SIDE = 9.0  # cells shrink to keep within it ...
_LONGEST_SIDE = 60.0  # ... and below the smallest cell labels are left out to keep within this
_MOST_CELLS = 4000  # along a side; a pixel has room for no more
_SPACE = 0.35
_EDGE = 0.15
_ROW_WIDTH = 13.0
_BAR_WIDTH, _BAR_HEIGHT = 0.14, 2.4
_COLOURS = "viridis"
_LONGEST_LABEL = 28


def save_alignment(
    alignment: Weights,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    path: Path,
    title: str | None = None,
) -> None:
    """Save one alignment: target tokens down, source tokens across, lighter is stronger.

    Args:
        alignment: Weights, one row per target token.
        source_tokens: Source tokens (columns).
        target_tokens: Target tokens (rows).
        path: The output file; .png, .svg or .pdf.
        title: A line above the figure.

    Raises:
        UserError: The path has another ending, or cannot be written.
        ValueError: The tokens do not match the alignment, or a weight is not a finite number.
    """
    save_alignments([label_alignment(alignment, source_tokens, target_tokens, title)], path)


def save_alignments(
    alignments: Sequence[LabelledAlignment], path: Path, title: str | None = None
) -> None:
    """Save several alignments in one figure, on one scale, side by side as far as they fit.

    Every row and column is labelled if there is room within 60 inches (460 labels). In longer
    alignments some labels are left out, as a note in the figure says. Of more than 4,000 rows or
    columns, neighbours are merged into their maximum, with another note.

    Args:
        alignments: Alignments from `label_alignment`, each with its own title or none.
        path: The output file; .png, .svg or .pdf.
        title: A line above all.

    Raises:
        UserError: The path has another ending, or cannot be written.
        ValueError: There are no alignments.
    """
    if not alignments:
        raise ValueError("alignments: none given; expected at least one")
    kind = picture_format(path)
    top = max(scale_top(alignment.weights) for alignment in alignments)
    figure = Figure(figsize=(1.0, 1.0))  # until the panels are measured a fraction is an inch
    panels = [_draw_panel(figure, alignment, top, kind) for alignment in alignments]
    heading = figure.text(0.0, 0.0, _title(title, kind), ha="left", va="top", fontsize=12)
    bar = figure.add_axes((0.0, 0.0, _BAR_WIDTH, _BAR_HEIGHT))
    figure.colorbar(ScalarMappable(Normalize(0.0, top), _COLOURS), cax=bar, label="alignment")
    set_fonts(figure)
    with without_glyph_warnings():
        _arrange(figure, panels, heading, bar)
    save_figure(figure, path)


def _draw_panel(figure: Figure, alignment: LabelledAlignment, top: float, kind: str) -> Axes:
    weights, notes = _merged(alignment.weights)
    num_rows, num_columns = alignment.weights.shape
    across, down = _cell(num_columns), _cell(num_rows)
    across, down = min(across, 2 * down), min(down, 2 * across)
    width, height = (
        min(_LONGEST_SIDE, max(1, count) * cell)
        for count, cell in ((num_columns, across), (num_rows, down))
    )
    axes = figure.add_axes((0.0, 0.0, width, height))
    axes.set(xlim=(-0.5, max(1, num_columns) - 0.5), ylim=(max(1, num_rows) - 0.5, -0.5))
    if alignment.weights.size:
        axes.imshow(
            weights,
            cmap=_COLOURS,
            aspect="auto",
            interpolation="nearest" if kind == "png" else "none",  # vector forms scale it
            vmin=0.0,
            vmax=top,
            extent=(-0.5, num_columns - 0.5, num_rows - 0.5, -0.5),
        )
    columns = [_label(token, kind) for token in alignment.source_tokens]
    rows = [_label(token, kind) for token in alignment.target_tokens]
    notes += _label_ticks(axes, columns, rows, across, down)
    lines = [_title(alignment.title, kind), *notes]
    axes.set_title("\n".join(line for line in lines if line), fontsize=10, loc="left", pad=8)
    return axes


def _merged(
    weights: Float[np.ndarray, "target source"],
) -> tuple[Float[np.ndarray, "rows columns"], list[str]]:
    """Merge neighbours if there are more rows or columns than can be drawn; also return notes.

    The maximum is kept, since a single strong weight would be lost in a mean or between pixels.
    """
    notes = []
    for axis, what in ((0, "rows"), (1, "columns")):
        count = weights.shape[axis]
        group = -(-count // _MOST_CELLS)
        if group > 1:
            weights = np.maximum.reduceat(weights, range(0, count, group), axis=axis)
            notes.append(f"each cell: the maximum of {group} {what}")
    return weights, notes


def _cell(count: int) -> float:
    return min(_LARGEST_CELL, max(_SMALLEST_CELL, _COMFORTABLE_SIDE / max(1, count)))


def _label_ticks(
    axes: Axes, columns: list[str], rows: list[str], across: float, down: float
) -> list[str]:
    """Label columns and rows; return notes about labels that are left out."""
    notes = []
    short = across > 0.2 and all(cell_len(column) <= 2 for column in columns)
    for labels, what, draw in (
        (columns, "columns", partial(axes.set_xticks, rotation=0 if short else 90)),
        (rows, "rows", axes.set_yticks),
    ):
        every = _every(len(labels))
        positions = labelled_positions(len(labels), every)
        draw(positions, [labels[index] for index in positions])
        if every > 1:
            notes.append(thinned_note(len(labels), every, what))
    axes.tick_params(length=0, pad=3, top=True, labeltop=True, labelbottom=False)
    axes.tick_params(axis="x", labelsize=_font_size(across))
    axes.tick_params(axis="y", labelsize=_font_size(down))
    for spine in axes.spines.values():
        spine.set_visible(False)
    return notes


def _font_size(cell: float) -> float:
    """Return the font size in points at which a line of text fits a cell."""
    return min(10.0, 72 * cell * 0.66)


def _every(count: int) -> int:
    """Return the smallest step between labels at which they do not overlap.

    >>> _every(460), _every(500)
    (1, 2)
    """
    return max(1, math.ceil(count * _SMALLEST_CELL / _LONGEST_SIDE))


def _title(title: str | None, kind: str) -> str:
    return printable(visible_title(title or ""), kind)


def _label(token: str, kind: str) -> str:
    shown = printable(visible(token), kind)
    if cell_len(shown) <= _LONGEST_LABEL:
        return shown
    return set_cell_size(shown, _LONGEST_LABEL - 1).rstrip() + "…"


def _arrange(figure: Figure, panels: list[Axes], heading: Text, bar: Axes) -> None:
    """Measure the panels with their labels, place them row by row, and size the figure."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [_inches(panel.get_tightbbox(renderer), figure) for panel in panels]
    title = _inches(heading.get_window_extent(renderer), figure)
    corners, width, height = _flow([(box.width, box.height) for box in boxes])
    bar_room = _inches(bar.get_tightbbox(renderer), figure).x1
    width = max(width, title.width)
    heading_height = title.height + _SPACE / 2 if title.width else 0.0
    size = Bbox.from_bounds(
        0.0, 0.0, width + _SPACE + bar_room + 2 * _EDGE, height + heading_height + 2 * _EDGE
    )
    roof = size.height - _EDGE - heading_height
    for panel, box, (right, down) in zip(panels, boxes, corners, strict=True):
        _position(panel, _EDGE + right - box.x0, roof - down - box.y1, size)
    bar_height = min(_BAR_HEIGHT, height)
    _position(bar, _EDGE + width + _SPACE, roof - bar_height, size, height=bar_height)
    heading.set_position((_EDGE / size.width, 1.0 - _EDGE / size.height))
    figure.set_size_inches(size.width, size.height)


def _flow(sizes: list[tuple[float, float]]) -> tuple[list[tuple[float, float]], float, float]:
    """Position boxes side by side, in further rows when a row is full.

    Returns:
        The offset of each box's upper left corner (right, down), and the total width and height.

    >>> _flow([(8.0, 1.0), (4.0, 2.0), (5.0, 3.0)])
    ([(0.0, 0.0), (8.35, 0.0), (0.0, 2.35)], 12.35, 5.35)
    """
    corners, right, down, row_height, width = [], 0.0, 0.0, 0.0, 0.0
    for box_width, box_height in sizes:
        if right and right + box_width > _ROW_WIDTH:
            right, down, row_height = 0.0, down + row_height + _SPACE, 0.0
        corners.append((right, down))
        width, row_height = max(width, right + box_width), max(row_height, box_height)
        right += box_width + _SPACE
    return corners, width, down + row_height


def _position(
    axes: Axes, left: float, bottom: float, size: Bbox, height: float | None = None
) -> None:
    inside = axes.get_position()  # its fractions are inches until now
    tall = inside.height if height is None else height
    axes.set_position(
        (left / size.width, bottom / size.height, inside.width / size.width, tall / size.height)
    )


def _inches(box: Bbox | None, figure: Figure) -> Bbox:
    if box is None:
        return Bbox.from_bounds(0.0, 0.0, 0.0, 0.0)
    return Bbox(box.get_points() / figure.dpi)
