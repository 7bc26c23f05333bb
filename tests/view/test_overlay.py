"""The picture word by word: nothing is cut off, and nothing is written over something else."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from kochi.view import overlay
from kochi.view.figures import shortened, size_of
from kochi.view.overlay import Looked, peaks, save_overlay


def looked(words, corners=(0, 0, 16, 16)):
    pixels = np.full((32, 32, 3), 200, np.uint8)
    alignments = np.full((len(words), 2, 2), 0.25)
    return Looked(pixels, corners, (16, 16), words, alignments, (8, 8))


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Return what draws words and a title, and gives the figure."""
    figures: list[Figure] = []
    monkeypatch.setattr(overlay, "save_figure", lambda figure, path: figures.append(figure))

    def draw(words, title):
        save_overlay(looked(words), tmp_path / "x.png", title)
        return figures.pop()

    return draw


def boxes_of(figure):
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    return [text.get_window_extent(renderer) for text in texts]


@pytest.mark.parametrize("count", [1, 3, 40])
def test_texts_stay_inside_and_apart(drawn, count):
    words = ["Donaudampfschifffahrtsgesellschaft", "a"] * count
    figure = drawn(words, " ".join(words))
    boxes, whole = boxes_of(figure), figure.bbox
    assert len(boxes) == 2 * count + 1
    for place, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= whole.x1 + 1 and box.y0 >= 0 and box.y1 <= whole.y1 + 1
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])


def test_labels_are_shortened_only_where_they_are_too_wide():
    assert shortened("dog", 9.0, 1.0) == "dog"
    shorter = shortened("Donaudampfschifffahrtsgesellschaft", 9.0, 1.0)
    assert shorter.startswith("Donau") and shorter.endswith("…")
    assert 0.7 < size_of(shorter, 9.0)[0] <= 1.0
    assert shortened("word", 9.0, 0.01) == "w…"


def test_a_wrapped_text_is_higher():
    text = "one two three four five six seven eight nine ten"
    (width, height), (narrow, high) = size_of(text, 11.0), size_of(text, 11.0, 1.0)
    assert narrow <= 1.0 < width and 3 * height < high < 7 * height


def test_peaks_lie_in_the_picture():
    alone = looked(["a"], corners=(0, 6, 16, 10))
    assert peaks(alone) == [(8.0, 0.0, 0.25)]
    alone.alignments[0, 1, 0] = 0.5
    assert peaks(alone) == [(8.0, 31.0, 0.5)]
