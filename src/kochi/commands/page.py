"""The page that ``kochi show --out x.html`` writes: a prediction in the viewer."""

from pathlib import Path
from typing import TYPE_CHECKING

from kochi.errors import UserError

if TYPE_CHECKING:
    from kochi.inference.predictor import Predictor
    from kochi.modalities.attended import Attended
    from kochi.prediction import Prediction


def check_page(path: Path) -> None:
    """Check that a page can be written.

    Raises:
        UserError: Its folder does not exist.
    """
    if not path.parent.is_dir():
        raise UserError(f"{path}: no such folder {path.parent}; create it first")


def write_answer(
    predictor: "Predictor", attended: "Attended", prediction: "Prediction", path: Path, title: str
) -> None:
    """Write the page of a prediction with the alignments of all heads.

    Raises:
        UserError: The page cannot be written.
    """
    from kochi.view.page import TextSide, write_page
    from kochi.word_alignment import words_of_pieces

    assert prediction.heads is not None
    written = TextSide(
        prediction.tokens,
        tuple("".join(prediction.pieces).split()),
        tuple(words_of_pieces(prediction.pieces, prediction.tokens)),
        prediction.token_seconds,
    )
    read = predictor.modality.side(attended)
    write_page(path, read, written, prediction.heads.numpy(), title)
