"""How pictures are fitted: aspect kept, white around them, boxes moved along."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kochi.modalities.image.fitting import Fit, fitted, place

SIDES = st.integers(1, 300)
FITS = st.sampled_from(["pad", "scale", "shrink"])


@given(SIDES, SIDES, SIDES, SIDES, FITS)
def test_it_fits_and_keeps_its_aspect(height, width, most_height, most_width, fit: Fit):
    found = place(height, width, most_height, most_width, fit)
    inner = found.picture_height, found.picture_width
    assert 1 <= inner[0] <= most_height and 1 <= inner[1] <= most_width
    factor = min(most_height / height, most_width / width)
    if fit == "shrink":
        factor = min(factor, 1.0)
    for side, before in zip(inner, (height, width), strict=True):
        assert abs(side - max(1.0, factor * before)) <= 0.5 + 1e-9
    if fit == "pad":
        assert (found.height, found.width) == (most_height, most_width)
        assert abs(most_height - inner[0] - 2 * found.top) <= 1
        assert abs(most_width - inner[1] - 2 * found.left) <= 1
    else:
        assert (found.height, found.width, found.top, found.left) == (*inner, 0, 0)


@given(SIDES, SIDES, SIDES, SIDES, FITS)
def test_a_box_comes_back(height, width, most_height, most_width, fit: Fit):
    found, box = place(height, width, most_height, most_width, fit), (0.0, 1.0, 2.5, 4.0)
    there = found.box(box, height, width)
    assert found.box_back(there, height, width) == pytest.approx(box, abs=1e-6)


def test_small_pictures_are_left_as_they_are():
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    assert np.array_equal(fitted(pixels, place(4, 5, 64, 64, "shrink")), pixels)


def test_white_lies_around_a_padded_picture():
    black = np.zeros((2, 4, 1), np.uint8)
    found = fitted(black, place(2, 4, 8, 8, "pad"))
    assert found.shape == (8, 8, 1)
    assert (found[2:6] == 0).all()
    assert (found[:2] == 255).all() and (found[6:] == 255).all()


@pytest.mark.parametrize("fit", ["pad", "scale", "shrink"])
def test_a_box_moves_with_what_is_in_it(fit: Fit):
    pixels = np.full((40, 60, 3), 255, np.uint8)
    pixels[8:16, 20:40] = 0
    placement = place(40, 60, 30, 30, fit)
    rows, columns = np.nonzero(fitted(pixels, placement)[..., 0] < 128)
    left, top, right, bottom = placement.box((20.0, 8.0, 40.0, 16.0), 40, 60)
    assert [left, top, right, bottom] == pytest.approx(
        [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], abs=0.01
    )
