"""The picture word by word: nothing is cut off, and nothing is written over something else."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from kochi.modalities.image import overlay
from kochi.modalities.image.overlay import Looked, Peak, peaks, save_overlay
from kochi.view.figures import shortened, size_of


def looked(words, corners=(0, 0, 16, 16), alignments=None):
    pixels = np.full((32, 32, 3), 200, np.uint8)
    if alignments is None:
        alignments = np.full((len(words), 2, 2), 0.25)
    cell = 16 // alignments.shape[1], 16 // alignments.shape[2]
    return Looked(pixels, corners, (16, 16), words, alignments, cell)


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
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # labels of an axis are moved to their place now
    renderer = canvas.get_renderer()
    texts = [t for t in figure.findobj(Text) if t.get_text() and t.get_visible()]
    return [text.get_window_extent(renderer) for text in texts]


@pytest.mark.parametrize("count", [1, 3, 20])
def test_texts_stay_inside_and_apart(drawn, count):
    words = ["Donaudampfschifffahrtsgesellschaft", "a"] * count
    figure = drawn(words, " ".join(words))
    boxes, whole = boxes_of(figure), figure.bbox
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert sum(text.endswith(" 25%") for text in texts) == 2 * count
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
    assert peaks(alone) == [Peak(0, 0, 0.25, 8.0, 0.0)]
    alone.alignments[0, 1, 0] = 0.5
    assert peaks(alone) == [Peak(1, 0, 0.5, 8.0, 31.0)]


def focused_and_even():
    """One word attends to one cell of 8 x 8, the other to all of them alike."""
    alignments = np.zeros((2, 8, 8))
    alignments[0, 3, 5], alignments[1] = 1.0, 1 / 64
    return looked(["sharp", "even"], alignments=alignments)


def test_the_share_is_that_of_the_framed_region():
    sharp, even = peaks(focused_and_even())
    assert sharp.share == pytest.approx(1.0) and sharp.row in (2, 3) and sharp.column in (4, 5)
    assert even.share == pytest.approx(4 / 64)


def test_all_words_share_one_scale(tmp_path):
    """Even attention is dark all over beside a sharp one, and says so in numbers."""
    save_overlay(focused_and_even(), tmp_path / "x.png", "a title")
    save_overlay(focused_and_even(), tmp_path / "x.svg", "a title")
    svg = (tmp_path / "x.svg").read_text()
    assert ">sharp 100%<" in svg and ">even 6%<" in svg and ">100%<" in svg
    assert "the 2 x 2 cells attended to most" in svg and "(6% if spread evenly)" in svg
    with Image.open(tmp_path / "x.png") as image:
        grey = np.asarray(image.convert("L")).astype(int)
    step = round((1.5 + 0.15) * 150)  # from tile to tile
    row = grey.shape[0] - round(0.75 * 150)  # inside of the tiles, below all frames
    first, sharp, even = (grey[row, 60 + step * tile : 200 + step * tile] for tile in range(3))
    assert first.min() > 190
    assert sharp.max() < 60
    assert even.max() < 60


def test_many_words_fill_a_square(drawn):
    figure = drawn(["word"] * 80, "many")
    width, height = figure.get_size_inches()
    assert 0.5 < width / height < 2.0
