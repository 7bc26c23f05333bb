"""Pointing accuracy: does a model look at what it names?

Zhang et al. 2018, "Top-down neural attention by excitation backprop", section 4.1,
https://arxiv.org/abs/1608.00507, call the first number the pointing game; the second is what of the
alignment falls inside, as in Liu et al. 2017, "Attention correctness in neural image captioning",
section 3.3, https://arxiv.org/abs/1605.09553.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from kochi.errors import UserError
from kochi.metrics.bootstrap import interval, resampled_totals, resampled_values
from kochi.metrics.evaluate import Score
from kochi.metrics.names import check_bootstrap

POINTING = ("pointing", "pointing_mass")
Box = tuple[float, float, float, float]


def point(
    alignment: Float[np.ndarray, "rows columns"],
    cell_height: int,
    cell_width: int,
    boxes: Sequence[Box],
) -> tuple[float, float]:
    """Say whether one word's alignment has its peak in a box, and how much of it lies in them.

    Args:
        alignment: Over the cells of a picture.
        cell_height: Pixels from one row of cells to the next.
        cell_width: The same for columns.
        boxes: Left, top, right, bottom in pixels; they do not overlap.

    Returns:
        1 where the middle of the cell that is looked at most lies in a box, else 0 (also where
        nothing is looked at); and the share of the alignment inside, each cell's share spread
        evenly over the cell.

    >>> point(np.array([[0.8, 0.2]]), 8, 8, [(4.0, 0.0, 12.0, 8.0)])  # half of either cell
    (1.0, 0.5)
    """
    peak = np.unravel_index(int(alignment.argmax()), alignment.shape)
    down, across = (float(peak[0]) + 0.5) * cell_height, (float(peak[1]) + 0.5) * cell_width
    looks = bool(alignment.max() > 0)
    hit = looks and any(
        left <= across < right and top <= down < bottom for left, top, right, bottom in boxes
    )
    rows, columns = alignment.shape
    mass = 0.0
    for left, top, right, bottom in boxes:
        of_rows = _covered(top, bottom, cell_height, rows)
        mass += float(of_rows @ alignment @ _covered(left, right, cell_width, columns))
    return float(hit), mass


def _covered(start: float, end: float, cell: int, count: int) -> Float[np.ndarray, " count"]:
    """Return which share of each cell lies between start and end."""
    edges = cell * np.arange(count + 1)
    inside = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
    return np.maximum(inside, 0.0) / cell


def pointing(
    rows: Sequence[Sequence[tuple[float, float]]],
    *,
    resamples: int = 1000,
    confidence: float = 95.0,
    seed: int = 1,
) -> dict[str, Score]:
    """Score what `point` found of the words of each row, with bootstrap intervals over the rows.

    Args:
        rows: For each row, what was found of each word that names something.
        resamples: As in `kochi.metrics.evaluate`.
        confidence: As in `kochi.metrics.evaluate`.
        seed: As in `kochi.metrics.evaluate`.

    Returns:
        "pointing", the share of words whose peak lies in a box, and "pointing_mass", the mean share
        of the alignment inside; percent.

    Raises:
        UserError: No word has a box.
        ValueError: A number is out of range.
    """
    check_bootstrap(resamples, confidence)
    counted = np.array([[len(row), *np.sum(row, axis=0)] if row else [0.0] * 3 for row in rows])
    if not counted.size or not counted[:, 0].sum():
        raise UserError("pointing: no word has a box; name the column with data.boxes_column")
    totals = resampled_totals(counted, resamples, seed)
    scores = {}
    for position, name in enumerate(POINTING, 1):

        def value(sums: Float[np.ndarray, " statistics"], position: int = position) -> float:
            return 100.0 * float(sums[position]) / max(float(sums[0]), 1.0)

        low, high = interval(resampled_values(totals, value), confidence)
        what = "peak-in-box" if name == "pointing" else "mass-in-box"
        signature = f"words:{int(counted[:, 0].sum())}|{what}|text:first-reference"
        scores[name] = Score(name, value(counted.sum(0)), low, high, confidence, signature)
    return scores
