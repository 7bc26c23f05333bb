"""Alignments overlaid on the images that were attended to."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from kochi.data.pair import Box
from kochi.memory import Grid
from kochi.modalities.image.overlay import Looked
from kochi.modalities.image.reader import PictureReader

DRAWN = 1200  # pixels per side, enough for 1.5 inches: matplotlib takes 90 bytes for each


def grid_box(reader: PictureReader, source: Any, layout: Grid, shape: tuple[int, int]) -> Box:
    """Return the box of all cells in the image's own pixels, upright.

    The padding around an image has cells as well, so the box may extend beyond the image.

    Args:
        reader: The reader of the model.
        source: The image, in a form that the reader accepts.
        layout: The grid of cells.
        shape: Its number of rows and columns.

    Raises:
        UserError: The image can no longer be read.
    """
    (rows, columns), (high, wide) = shape, (layout.cell_height, layout.cell_width)
    size = reader.size(source)
    whole = 0.0, 0.0, float(wide * columns), float(high * rows)
    return reader.placement(*size).box_back(whole, *size)


def positions_of(words: Sequence[int | None]) -> list[list[int]]:
    """Return the positions of the tokens of each word.

    Args:
        words: The word index of each token.

    >>> positions_of([0, 0, None, 1])
    [[0, 1], [3]]
    """
    count = max((word + 1 for word in words if word is not None), default=0)
    found: list[list[int]] = [[] for _ in range(count)]
    for position, word in enumerate(words):
        if word is not None:
            found[word].append(position)
    return found


def mean_alignments(
    alignment: Float[Tensor, "target source"],
    grid: tuple[int, int],
    parts: Sequence[Sequence[int]],
) -> Float[np.ndarray, "parts rows columns"]:
    """Return the mean alignment of each group of tokens, over the cells of the image."""
    weights = alignment.double().numpy().reshape(-1, *grid)
    empty = np.zeros(grid)
    return np.stack([weights[list(part)].mean(0) if part else empty for part in parts])


def lay_over(
    reader: PictureReader,
    source: Any,
    names: Sequence[str],
    positions: Sequence[Sequence[int]],
    alignment: Float[Tensor, "target source"],
    layout: Grid,
) -> Looked:
    """Overlay the mean alignment of each group of tokens on an image.

    Args:
        reader: The reader of the model.
        source: The image, in a form that the reader accepts.
        names: The names of the groups: the words, or the tokens, of a text.
        positions: The tokens of each group.
        alignment: One row per token.
        layout: Where the columns of the alignment are in the image.

    Raises:
        UserError: The image cannot be read.
    """
    pixels = reader.pixels(source, DRAWN)
    height, width = reader.size(source)
    placement = reader.placement(height, width)
    right = placement.left + placement.picture_width
    bottom = placement.top + placement.picture_height
    size = placement.height, placement.width
    return Looked(
        pixels=pixels,
        corners=(placement.left, placement.top, right, bottom),
        size=size,
        words=list(names),
        alignments=mean_alignments(alignment, layout.shape(*size), positions),
        cell=(layout.cell_height, layout.cell_width),
        own_size=(height, width),
    )
