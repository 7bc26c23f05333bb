"""Pointing accuracy: whether a model attends to the region that shows the predicted word."""

from collections.abc import Sequence

from kochi.data.pair import Pair
from kochi.errors import UserError
from kochi.inference.predictor import Predictor
from kochi.metrics.pointing import point
from kochi.modalities.image.attention_maps import mean_alignments, positions_of
from kochi.modalities.image.prediction import ImagePrediction
from kochi.modalities.image.reader import PictureReader
from kochi.prediction import Prediction


def picture_reader(predictor: Predictor) -> PictureReader:
    """Return the reader of a model of images.

    Raises:
        UserError: The model reads another modality, or has no alignment.
    """
    if not isinstance(predictor.source, PictureReader):
        raise UserError("this model reads no pictures; expected one trained on data of that kind")
    if predictor.run.model.kind == "plain":
        raise UserError("a plain model has no attention, so it points nowhere")
    return predictor.source


def points_of(
    predictor: Predictor, pairs: Sequence[Pair], written: Sequence[Prediction]
) -> list[list[tuple[float, float]]]:
    """Return for each word with boxes whether the model attended to one of them.

    Args:
        predictor: A model of images.
        pairs: Images with boxes.
        written: The result of `Predictor.align` for their first references.

    Returns:
        For each pair and word, the result of `kochi.metrics.pointing.point`.

    Raises:
        UserError: The model does not read images, or has no alignment.
    """
    reader, rows = picture_reader(predictor), []
    for pair, one in zip(pairs, written, strict=True):
        height, width = reader.pixels(pair.source).shape[:2]
        placement = reader.placement(height, width)
        assert isinstance(one, ImagePrediction)
        assert one.alignment is not None and one.grid is not None and one.cell is not None
        words = positions_of(predictor.target.words(pair.references[0]))
        weights = mean_alignments(one.alignment, one.grid, words)
        rows.append(
            [
                point(of_word, *one.cell, [placement.box(b, height, width) for b in boxes])
                for of_word, boxes in zip(weights, pair.boxes, strict=False)
                if boxes
            ]
        )
    return rows
