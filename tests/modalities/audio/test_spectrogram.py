"""The spectrogram, the words under their sound, and the alignment below."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from kochi.memory import Frames
from kochi.modalities.audio.spectrogram import _levels, draw_spectrogram
from kochi.timestamps import Timed
from kochi.view.figures import save_figure
from kochi.view.labelled import label_alignment

FRAMES = Frames(hop_seconds=0.01, first_seconds=0.005)
PLACES = Frames(hop_seconds=0.04, first_seconds=0.02)
WORDS = (Timed("on", 0.0, 0.4), Timed("$ off <注>", 0.4, 0.8))


def draw(tmp_path, weights, frames=None, kind="png", words=WORDS, seconds=0.8):
    """Draw two tokens over frames; return the file."""
    if frames is None:
        frames = np.zeros((round(seconds * 100), 5), np.float32)
    path = tmp_path / f"a.{kind}"
    tokens = ["on", "off"][: len(weights)]
    alignment = label_alignment(weights, [""] * weights.shape[1], tokens, title="on off")
    save_figure(draw_spectrogram(frames, FRAMES, alignment, PLACES, words, kind), path)
    return path


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_each_token_is_blue_where_it_looked(tmp_path):
    weights = np.zeros((2, 20))
    weights[0, 2], weights[1, 17] = 1.0, 1.0
    shown = pixels(draw(tmp_path, weights, words=()))
    blue = np.abs(shown - (0, 114, 178)).max(-1) < 12
    down, across = np.nonzero(blue)
    early = across < shown.shape[1] / 2
    assert 0 < early.sum() < len(across)
    assert down[early].max() < down[~early].min()  # the first token is above the second
    box = across.min(), across.max()
    assert (box[1] - box[0]) / shown.shape[1] == pytest.approx(5.0 * 16 / 20 / 6.2, rel=0.05)


def test_the_bar_of_a_word_stands_above_where_it_was_looked_at(tmp_path):
    """All panels share their seconds: bar and looks of the same span have the same columns."""
    weights = np.zeros((1, 20))
    weights[0, 5] = 1.0
    word = Timed("on", 0.2, 0.24)  # position 5
    columns = [
        np.nonzero((np.abs(shown - (0, 114, 178)).max(-1) < 12).sum(0) > 8)[0]
        for shown in (
            pixels(draw(tmp_path, weights, words=())),
            pixels(draw(tmp_path, np.zeros((1, 20)), words=(word,))),
        )
    ]
    looked, bar = ((found.min(), found.max()) for found in columns)
    assert looked == pytest.approx(bar, abs=3)


def test_names_of_short_words_do_not_run_into_each_other():
    words = [
        Timed(name, 0.1 * position, 0.1 * position + 0.1) for position, name in enumerate("abcdef")
    ]
    assert _levels(words, ["seventeen"] * 6, 2.4) == [0, 1, 2, 3, 0, 1]
    assert _levels(words, list("abcdef"), 2.4) == [0] * 6


def test_loud_frames_are_dark_where_and_when_they_are(tmp_path):
    frames = np.zeros((80, 5), np.float32)
    frames[40:, 4] = 9.0  # the highest number of a frame, in the second half
    shown = pixels(draw(tmp_path, np.zeros((1, 20)), frames, words=()))
    down, across = np.nonzero((shown < 40).all(-1))
    inside = (across > shown.shape[1] * 0.55) & (down < shown.shape[0] * 0.35)
    assert inside.mean() > 0.8  # the rest is letters


def test_words_stand_below_their_sound(tmp_path):
    root = ElementTree.parse(draw(tmp_path, np.ones((2, 20)), kind="svg")).getroot()
    texts = {element.text: element for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"on off", "seconds", "on", "$␣off␣<注>"} <= set(texts)


@pytest.mark.parametrize(("rows", "positions"), [(0, 20), (2, 0)])
def test_nothing_to_draw(tmp_path, rows, positions):
    path = draw(tmp_path, np.zeros((rows, positions)), words=())
    assert pixels(path).shape[0] > 100


def test_a_minute_is_not_wider_than_a_page_can_hold(tmp_path):
    path = draw(tmp_path, np.ones((2, 1500)) / 1500, seconds=60.0, words=())
    assert 4000 < pixels(path).shape[1] < 6500
