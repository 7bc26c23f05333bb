"""The spectrogram with the alignment over it and the words under their sound."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from kochi.memory import Frames
from kochi.times import Timed
from kochi.view.figures import save_figure
from kochi.view.labelled import label_alignment
from kochi.view.spectrogram import draw_spectrogram

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


def test_each_token_is_red_where_it_looked(tmp_path):
    weights = np.zeros((2, 20))
    weights[0, 2], weights[1, 17] = 1.0, 1.0
    shown = pixels(draw(tmp_path, weights))
    red = (shown[..., 0] > 180) & (shown[..., 1] < 70) & (shown[..., 2] < 60)
    down, across = np.nonzero(red)
    early = across < shown.shape[1] / 2
    assert 0 < early.sum() < len(across)
    assert down[early].max() < down[~early].min()  # the first token is above the second
    box = across.min(), across.max()
    assert (box[1] - box[0]) / shown.shape[1] == pytest.approx(5.0 * 16 / 20 / 6.2, rel=0.05)


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


@pytest.mark.parametrize(("rows", "places"), [(0, 20), (2, 0)])
def test_nothing_to_draw(tmp_path, rows, places):
    path = draw(tmp_path, np.zeros((rows, places)), words=())
    assert pixels(path).shape[0] > 100


def test_a_minute_is_not_wider_than_a_page_can_hold(tmp_path):
    path = draw(tmp_path, np.ones((2, 1500)) / 1500, seconds=60.0, words=())
    assert 4000 < pixels(path).shape[1] < 6500
