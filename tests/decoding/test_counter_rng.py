"""Counter-based random numbers."""

import pytest
import torch

from kochi.decoding.counter_rng import uniform


def splitmix64(state):
    """The published generator, with Python's unbounded integers: the next state and number."""
    full = (1 << 64) - 1
    state = (state + 0x9E3779B97F4A7C15) & full
    z = state
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & full
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & full
    return state, z ^ (z >> 31)


@pytest.mark.parametrize("seed", [0, 1, 1234567, 2**63 - 1])
def test_numbers_are_those_of_splitmix64(seed):
    found = torch.stack([uniform(torch.tensor([seed]), 3, step) for step in range(1, 6)])
    state = seed
    for stream in range(3):
        state, inner = splitmix64(state)
        for step in range(5):
            inner, number = splitmix64(inner)
            assert found[step, 0, stream].item() == (number >> 11) * 2.0**-53


def test_numbers_are_uniform():
    """Mean and mean square of 10 ** 6 numbers, within five standard errors."""
    numbers = torch.stack([uniform(torch.arange(1000), 10, step) for step in range(100)])
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert numbers.mean().item() == pytest.approx(1 / 2, abs=5 * 0.289e-3)
    assert numbers.square().mean().item() == pytest.approx(1 / 3, abs=5 * 0.299e-3)
