"""Alignments laid over the pictures that were attended to."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from kochi.data.pair import Box
from kochi.memory import Grid
from kochi.modalities.image.overlay import Looked
from kochi.modalities.image.reader import PictureReader

DRAWN = 1200  # pixels of a side are enough for 1.5 inches: matplotlib takes 90 bytes for each


def grid_box(reader: PictureReader, source: Any, layout: Grid, shape: tuple[int, int]) -> Box:
    """Return where all cells together lie in the picture's own pixels, upright.

    What a model reads around a picture has cells as well, so the box may reach beyond it.

    Args:
        reader: What the model reads with.
        source: The picture, as the reader takes it.
        layout: The cells.
        shape: Their rows and columns.

    Raises:
        UserError: The picture cannot be read any more.
    """
    (rows, columns), (high, wide) = shape, (layout.cell_height, layout.cell_width)
    size = reader.size(source)
    whole = 0.0, 0.0, float(wide * columns), float(high * rows)
    return reader.placement(*size).box_back(whole, *size)


def positions_of(words: Sequence[int | None]) -> list[list[int]]:
    """Return the positions of the tokens of each word.

    Args:
        words: Which word each token is of.

    >>> positions_of([0, 0, None, 1])
    [[0, 1], [3]]
    """
    count = max((word + 1 for word in words if word is not None), default=0)
    found: list[list[int]] = [[] for _ in range(count)]
    for place, word in enumerate(words):
        if word is not None:
            found[word].append(place)
    return found


def mean_alignments(
    alignment: Float[Tensor, "target source"],
    grid: tuple[int, int],
    parts: Sequence[Sequence[int]],
) -> Float[np.ndarray, "parts rows columns"]:
    """Return the mean alignment of some tokens at a time, over the cells of the picture."""
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
    """Lay the mean alignment of some tokens at a time over a picture.

    Args:
        reader: What the model reads with.
        source: The picture, as the reader takes it.
        names: What is drawn: the words, or the tokens, of a text.
        positions: The tokens of each.
        alignment: A row for each token.
        layout: What its columns are.

    Raises:
        UserError: The picture cannot be read.
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
