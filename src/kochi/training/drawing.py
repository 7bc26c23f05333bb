"""Alignments of dev examples as pictures, as `kochi show` draws them."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from kochi.errors import UserError
from kochi.memory import Frames, Grid
from kochi.training.examples import Example
from kochi.view.figures import save_figure
from kochi.view.labelled import LabelledAlignment, label_alignment
from kochi.view.overlay import save_overlay
from kochi.view.picture import save_alignments

LONGEST_DRAWN = 100  # tokens on a side; more take seconds, and nobody reads them
LONGEST_SECONDS = 30.0

Drawn = UInt8[np.ndarray, "height width 3"]


def draw_examples(examples: Sequence[Example], when: str) -> Iterator[tuple[str, Drawn]]:
    """Draw where the model attended: texts in one picture, recordings and pictures one by one.

    Examples without an alignment, very long ones and those whose file is gone are left out.

    Args:
        examples: What the model read and wrote.
        when: Said in the titles, such as "after step 100".

    Yields:
        A name and pixels.
    """
    texts = list(filter(None, map(_of_text, examples)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.png"
        if texts:
            save_alignments(texts, path, title=f"dev examples {when}")
            yield "example_alignments", _pixels(path)
        for number, example in enumerate(examples, 1):
            texts = example.texts()
            title = f"{when}: {os.path.basename(texts['source'])} → {texts['prediction']}"
            if _save(example, path, title):
                yield f"example_{number}_alignment", _pixels(path)


def _pixels(path: Path) -> Drawn:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def _of_text(example: Example) -> LabelledAlignment | None:
    weights = example.alignment
    if example.seen is not None or weights is None or max(weights.shape) > LONGEST_DRAWN:
        return None
    title = example.texts()["prediction"]
    return label_alignment(weights, example.source_tokens, example.tokens, title)


def _save(example: Example, path: Path, title: str) -> bool:
    """Draw what is no text; say whether there was something to draw."""
    seen, weights = example.seen, example.alignment
    if seen is None or weights is None or len(weights) > LONGEST_DRAWN:
        return False
    if isinstance(seen.layout, Frames):
        return _save_heard(example, path, title)
    if not isinstance(seen.layout, Grid) or not example.prediction.strip():
        return False
    from kochi.data.readers.picture import PictureReader
    from kochi.looking import lay_over

    assert isinstance(seen.reader, PictureReader)
    if seen.target.encode(example.prediction) != list(seen.ids):
        return False  # other tokens than the text would have, so its words are not known
    try:
        looked = lay_over(
            seen.reader, seen.source, seen.target, example.prediction, weights, seen.layout
        )
    except UserError:  # the file is gone or was changed; training goes on without it
        return False
    save_overlay(looked, path, title)
    return True


def _save_heard(example: Example, path: Path, title: str) -> bool:
    from kochi.data.readers.frames import FrameReader
    from kochi.times import time_answer
    from kochi.view.spectrogram import draw_spectrogram

    seen, weights = example.seen, example.alignment
    assert seen is not None and weights is not None
    reader, layout = seen.reader, seen.layout
    assert isinstance(reader, FrameReader) and isinstance(layout, Frames)
    seconds = reader.seconds(len(seen.row))
    if seconds > LONGEST_SECONDS:
        return False
    pieces = seen.target.pieces(seen.ids)
    _, words = time_answer(example.tokens, pieces, weights, layout, seconds)
    figure = draw_spectrogram(
        reader.plain(seen.row),
        Frames(reader.hop_seconds, reader.first_seconds),
        label_alignment(weights, _columns(weights.shape[1]), example.tokens, title),
        layout,
        words,
    )
    save_figure(figure, path)
    return True


def _columns(count: int) -> tuple[str, ...]:
    return ("",) * count  # the axis below has the seconds
