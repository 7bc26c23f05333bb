"""Alignments of dev examples as images, drawn like those of `kochi show`."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from kochi.errors import UserError
from kochi.memory import Words
from kochi.training.examples import Example
from kochi.view.labelled import LabelledAlignment, label_alignment
from kochi.view.picture import save_alignments

LONGEST_DRAWN = 100  # tokens per side; more take seconds to draw and are not readable
LONGEST_SECONDS = 30.0

Drawn = UInt8[np.ndarray, "height width 3"]


def draw_examples(examples: Sequence[Example], when: str) -> Iterator[tuple[str, Drawn]]:
    """Draw alignments: those of texts in one image, those of other sources one by one.

    Examples without an alignment, very long ones and those with a missing file are skipped.

    Args:
        examples: Sources with their predictions.
        when: Part of the titles, such as "after step 100".

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
    found = example.attended
    if found is None or not isinstance(found.layout, Words):
        return None
    if max(found.alignment.shape) > LONGEST_DRAWN:
        return None
    title = example.texts()["prediction"]
    return label_alignment(found.alignment, found.source_tokens, found.tokens, title)


def _save(example: Example, path: Path, title: str) -> bool:
    """Draw an example that is not text; return whether it was drawn."""
    found, modality = example.attended, example.modality
    if found is None or modality is None or isinstance(found.layout, Words):
        return False
    long = found.reader.seconds(len(found.row)) > LONGEST_SECONDS
    if long or len(found.alignment) > LONGEST_DRAWN or not found.text.strip():
        return False
    try:
        modality.draw(found, path, title)
    except UserError:  # the file is missing or was changed; training continues
        return False
    return True
