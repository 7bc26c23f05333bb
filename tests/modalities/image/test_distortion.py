"""What is changed in training, and what is not."""

import numpy as np
import pytest
import torch

from kochi.modalities.image.distortion import Distortion, distort


class Draws(np.random.Generator):
    """Draws what it is told, from -1 to 1: right, down, turn, zoom, contrast, mirror."""

    def __init__(self, *numbers):
        super().__init__(np.random.PCG64(1))
        self.numbers = numbers

    def random(self, size):  # pyright: ignore[reportIncompatibleMethodOverride]
        assert size == len(self.numbers)
        return (np.array(self.numbers) + 1) / 2


def picture():
    """Return a picture that is dark in its upper left corner alone."""
    values = torch.zeros(1, 8, 12)
    values[0, :2, :3] = 1.0
    return values


def test_nothing_is_changed_by_no_distortion():
    values = torch.rand(3, 7, 5)
    assert torch.equal(distort(values, Distortion(), np.random.default_rng(1)), values)


def test_it_moves_by_its_share_and_white_comes_in():
    moved = distort(picture(), Distortion(shift=0.25), Draws(-1.0, -1.0, 0.0, 0.0, 0.0, -1.0))
    expected = torch.zeros(1, 8, 12)
    expected[0, 2:4, 3:6] = 1.0  # a quarter of each side, right and down
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0.0)


def test_it_is_mirrored():
    mirrored = distort(picture(), Distortion(mirror=True), Draws(0.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    torch.testing.assert_close(mirrored, picture().flip(2), atol=1e-5, rtol=0.0)
    same = distort(picture(), Distortion(), Draws(0.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    assert torch.equal(same, picture())


def test_it_turns_without_being_sheared():
    square = torch.zeros(1, 9, 13)
    square[0, 4, 2:11] = 1.0  # a level line through the middle
    turned = distort(square, Distortion(turn_degrees=90.0), Draws(0.0, 0.0, 1.0, 0.0, 0.0, -1.0))
    expected = torch.zeros(1, 9, 13)
    expected[0, :, 6] = 1.0  # now upright, as long as before
    torch.testing.assert_close(turned, expected, atol=1e-4, rtol=0.0)


@pytest.mark.parametrize(("drawn", "factor"), [(1.0, 1.5), (-1.0, 1 / 1.5)])
def test_it_grows_and_shrinks_alike(drawn, factor):
    values = torch.zeros(1, 60, 60)
    values[0, 20:40, 20:40] = 1.0
    zoomed = distort(values, Distortion(zoom=0.5), Draws(0.0, 0.0, 0.0, drawn, 0.0, -1.0))
    assert zoomed.sum().sqrt().item() == pytest.approx(20 * factor, abs=0.5)


def test_contrast_leaves_white_white():
    changed = distort(picture(), Distortion(contrast=0.2), Draws(0.0, 0.0, 0.0, 0.0, 1.0, -1.0))
    torch.testing.assert_close(changed, 1.2 * picture())
