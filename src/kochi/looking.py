"""Where in a picture a model looks while it writes a text."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from kochi.data.pairs import Pair
from kochi.data.readers.picture import PictureReader
from kochi.data.tokenizer import Tokenizer
from kochi.errors import UserError
from kochi.memory import Grid
from kochi.metrics.pointing import point
from kochi.picture.fitting import Box
from kochi.predictor import Prediction, Predictor
from kochi.view.overlay import Looked

DRAWN = 1200  # pixels of a side are enough for 1.5 inches: matplotlib takes 90 bytes for each


def picture_reader(predictor: Predictor) -> PictureReader:
    """Return what a model of pictures reads with.

    Raises:
        UserError: The model reads something else, or cannot look.
    """
    if not isinstance(predictor.source, PictureReader):
        raise UserError("this model reads no pictures; expected one trained on data of that kind")
    if predictor.run.model.kind == "plain":
        raise UserError("a plain model has no attention, so it looks nowhere")
    return predictor.source


def cell_of(prediction: Prediction) -> tuple[int, int]:
    """Return height and width of a cell, in pixels as the model reads them."""
    assert isinstance(prediction.layout, Grid)
    return prediction.layout.cell_height, prediction.layout.cell_width


def grid_box(reader: PictureReader, source: Any, prediction: Prediction) -> Box:
    """Return where all cells together lie in the picture's own pixels, upright.

    What a model reads around a picture has cells as well, so the box may reach beyond it.

    Args:
        reader: What the model reads with.
        source: The picture, as `Predictor.predict` takes it.
        prediction: Its answer.

    Raises:
        UserError: The picture cannot be read any more.
    """
    assert prediction.grid is not None
    (rows, columns), (high, wide) = prediction.grid, cell_of(prediction)
    size = reader.size(source)
    whole = 0.0, 0.0, float(wide * columns), float(high * rows)
    return reader.placement(*size).box_back(whole, *size)


def tokens_of_words(target: Tokenizer, text: str) -> list[list[int]]:
    """Return the positions of the tokens of each word of a text."""
    of_token = target.words(text)
    found: list[list[int]] = [[] for _ in text.split()]
    for place, word in enumerate(of_token):
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


def points_of(
    predictor: Predictor, pairs: Sequence[Pair], written: Sequence[Prediction]
) -> list[list[tuple[float, float]]]:
    """Say of each word that has boxes whether the model looked there.

    Args:
        predictor: A model of pictures.
        pairs: Pictures with boxes.
        written: What `Predictor.align` gave for their first right answers.

    Returns:
        For each pair and word, what `kochi.metrics.pointing.point` says.

    Raises:
        UserError: The model reads no pictures, or cannot look.
    """
    reader, rows = picture_reader(predictor), []
    for pair, one in zip(pairs, written, strict=True):
        height, width = reader.pixels(pair.source).shape[:2]
        placement = reader.placement(height, width)
        assert one.alignment is not None and one.grid is not None
        words = tokens_of_words(predictor.target, pair.references[0])
        weights = mean_alignments(one.alignment, one.grid, words)
        rows.append(
            [
                point(of_word, *cell_of(one), [placement.box(b, height, width) for b in boxes])
                for of_word, boxes in zip(weights, pair.boxes, strict=False)
                if boxes
            ]
        )
    return rows


def looked_at(predictor: Predictor, source: Any, text: str) -> Looked:
    """Lay what a model attends to while it writes a text over the picture, word by word.

    A text of one word is taken apart into its tokens.

    Args:
        predictor: A model of pictures.
        source: The picture, as `Predictor.predict` takes it.
        text: Not empty.

    Raises:
        UserError: The model reads no pictures, cannot look, or this one cannot be read.
    """
    reader = picture_reader(predictor)
    [written] = predictor.align([source], [text])
    assert written.alignment is not None and isinstance(written.layout, Grid)
    return lay_over(reader, source, predictor.target, text, written.alignment, written.layout)


def lay_over(
    reader: PictureReader,
    source: Any,
    target: Tokenizer,
    text: str,
    alignment: Float[Tensor, "target source"],
    layout: Grid,
) -> Looked:
    """Lay an alignment over a picture, word by word; a single word token by token.

    Args:
        reader: What the model reads with.
        source: The picture, as the reader takes it.
        target: Tokenizer of the text.
        text: What was written.
        alignment: A row for each token that ``target`` makes of the text.
        layout: What its columns are.

    Raises:
        UserError: The picture cannot be read.
    """
    names, parts = text.split(), tokens_of_words(target, text)
    if len(parts) == 1:
        names = target.tokens(target.encode(text))
        parts = [[position] for position in range(len(names))]
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
        words=names,
        alignments=mean_alignments(alignment, layout.shape(*size), parts),
        cell=(layout.cell_height, layout.cell_width),
        own_size=(height, width),
    )
