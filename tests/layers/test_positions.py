"""Positions: the paper's formula, slices from the middle, longer sequences than planned."""

import math

import pytest
import torch

from kochi.layers.positions import LearnedPositions, SinusoidalPositions, sinusoidal


def test_the_formula():
    length, size = 11, 6
    table = sinusoidal(length, size)
    for position in range(length):
        for i in range(size // 2):
            angle = position / 10000 ** (2 * i / size)
            assert table[position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert table[position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


@pytest.mark.parametrize("kind", [SinusoidalPositions, LearnedPositions])
def test_a_later_start_gives_the_later_rows(kind):
    layer = kind(6, max_positions=13)
    x = torch.zeros(2, 11, 6)
    torch.testing.assert_close(layer(x)[:, 4:7], layer(x[:, 4:7], start=4))


def test_sinusoidal_positions_grow():
    layer = SinusoidalPositions(4, max_positions=3)
    out = layer(torch.zeros(1, 50, 4))
    torch.testing.assert_close(out[0], sinusoidal(50, 4))


def test_learned_positions_do_not_grow():
    with pytest.raises(ValueError, match="a sequence of 4 tokens is longer than max_positions=3"):
        LearnedPositions(4, max_positions=3)(torch.zeros(1, 4, 4))


def test_an_odd_size_is_refused():
    with pytest.raises(ValueError, match="size must be even"):
        sinusoidal(3, 5)
