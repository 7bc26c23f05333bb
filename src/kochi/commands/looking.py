"""The page that ``kochi show --out x.html`` writes: an answer in the viewer."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kochi.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from kochi.data.readers.frames import FrameReader
    from kochi.data.readers.picture import PictureReader
    from kochi.memory import Frames, Grid
    from kochi.predictor import Prediction, Predictor
    from kochi.view.page import PictureSide, Side, TimeSide


def check_page(path: Path) -> None:
    """Refuse a page that could not be written.

    Raises:
        UserError: Its folder does not exist.
    """
    if not path.parent.is_dir():
        raise UserError(f"{path}: no such folder {path.parent}; make it first")


def write_answer(
    predictor: "Predictor", source: Any, prediction: "Prediction", path: Path, title: str
) -> None:
    """Write the page of an answer whose every head was asked for.

    Raises:
        UserError: The page cannot be written.
    """
    from kochi.links import words_of_pieces
    from kochi.view.page import TextSide, write_page

    assert prediction.heads is not None
    written = TextSide(
        prediction.tokens,
        tuple("".join(prediction.pieces).split()),
        tuple(words_of_pieces(prediction.pieces, prediction.tokens)),
        tuple(time.start_seconds for time in prediction.times or ()),
    )
    read = _read(predictor, source, prediction)
    write_page(path, read, written, prediction.heads.numpy(), title)


def _read(predictor: "Predictor", source: Any, prediction: "Prediction") -> "Side":
    from kochi.data.readers.frames import FrameReader
    from kochi.data.readers.picture import PictureReader
    from kochi.data.tokenizer import Tokenizer
    from kochi.memory import Frames, Grid
    from kochi.view.page import TextSide

    reader, layout = predictor.source, prediction.layout
    if isinstance(reader, Tokenizer):
        words = (*reader.words(source), None)
        return TextSide(prediction.source_tokens, tuple(source.split()), words)
    if isinstance(reader, PictureReader):
        assert isinstance(layout, Grid)
        return _seen(reader, source, layout)
    assert isinstance(reader, FrameReader) and isinstance(layout, Frames)
    return _heard(reader, source, layout)


def _heard(reader: "FrameReader[Any]", source: Any, layout: "Frames") -> "TimeSide":
    import numpy as np

    from kochi.view.page import TimeSide

    row = np.asarray(reader.encode(source))
    frames, _ = reader.frames(row, np.array([len(row)]), None)
    wav = (
        _wav(row, round(len(row) / reader.seconds(len(row)))) if reader.unit == "samples" else None
    )
    return TimeSide(
        frames[0].numpy(),
        reader.seconds(len(row)),
        layout.hop_seconds,
        layout.first_seconds,
        wav,
    )


def _wav(samples: "np.ndarray", rate_hz: int) -> bytes:
    import numpy as np
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples.astype(np.int16), rate_hz, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def _seen(reader: "PictureReader", source: Any, layout: "Grid") -> "PictureSide":
    """Show the pixels that the model read: fitted, with the white around them."""
    from PIL import Image

    from kochi.view.page import PictureSide

    pixels = reader.fitted_pixels(source)
    height, width = pixels.shape[:2]
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze(2) if reader.channels == 1 else pixels).save(buffer, "PNG")
    cell = float(layout.cell_width), float(layout.cell_height)
    return PictureSide(buffer.getvalue(), width, height, *cell)
