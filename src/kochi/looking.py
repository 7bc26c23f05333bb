"""Where in a picture a model looks while it writes a text."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from kochi.data.pairs import Pair
from kochi.data.readers.picture import PictureReader
from kochi.errors import UserError
from kochi.memory import Grid
from kochi.metrics.pointing import point
from kochi.picture.fitting import Box
from kochi.predictor import Prediction, Predictor
from kochi.view.overlay import Looked


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


def tokens_of_words(predictor: Predictor, text: str) -> list[list[int]]:
    """Return the places of the tokens of each word of a text."""
    of_token = predictor.target.words(text)
    found: list[list[int]] = [[] for _ in text.split()]
    for place, word in enumerate(of_token):
        if word is not None:
            found[word].append(place)
    return found


def alignments_of(
    prediction: Prediction, parts: Sequence[Sequence[int]]
) -> Float[np.ndarray, "parts rows columns"]:
    """Return the mean alignment of some tokens at a time, over the cells of the picture."""
    assert prediction.alignment is not None and prediction.grid is not None
    weights = prediction.alignment.double().numpy().reshape(-1, *prediction.grid)
    empty = np.zeros(prediction.grid)
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
        weights = alignments_of(one, tokens_of_words(predictor, pair.references[0]))
        rows.append(
            [
                point(of_word, *cell_of(one), [placement.box(b, height, width) for b in boxes])
                for of_word, boxes in zip(weights, pair.boxes, strict=False)
                if boxes
            ]
        )
    return rows


def looked_at(predictor: Predictor, source: Any, text: str) -> Looked:
    """Lay where the model looks while it writes a text over the picture, word by word.

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
    names, parts = text.split(), tokens_of_words(predictor, text)
    if len(parts) == 1:
        names, parts = list(written.tokens), [[place] for place in range(len(written.tokens))]
    pixels = reader.pixels(source)
    placement = reader.placement(*pixels.shape[:2])
    right = placement.left + placement.picture_width
    bottom = placement.top + placement.picture_height
    return Looked(
        pixels=pixels,
        corners=(placement.left, placement.top, right, bottom),
        size=(placement.height, placement.width),
        words=names,
        alignments=alignments_of(written, parts),
        cell=cell_of(written),
    )
