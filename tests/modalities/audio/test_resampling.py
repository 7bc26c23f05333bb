import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kochi.modalities.audio.resampling import (
    Resampler,
    resample,
    resampled_length,
    to_float,
    to_int16,
)
from tests.modalities.audio.sounds import noise

RATES = [(44_100, 16_000), (8000, 16_000), (48_000, 8000), (11_025, 16_000), (0.9, 1.0), (1.1, 1.0)]


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@given(blocks=st.lists(st.integers(0, 3000), max_size=8))
def test_blocks_give_the_samples_of_the_whole(from_hz, to_hz, blocks):
    samples = noise(0.5, 12_000)
    ends = [min(end, len(samples)) for end in np.cumsum([0, *blocks]).tolist()] + [len(samples)]
    resampler = Resampler(from_hz, to_hz)
    found = [resampler.push(samples[start:end]) for start, end in itertools.pairwise(ends)]
    found.append(resampler.push(samples[:0], last=True))
    np.testing.assert_allclose(
        np.concatenate(found), resample(samples, from_hz, to_hz), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@given(length=st.integers(1, 5000))
def test_the_length_is_known_before(from_hz, to_hz, length):
    samples = np.zeros(length, np.float32)
    assert len(resample(samples, from_hz, to_hz)) == resampled_length(length, from_hz, to_hz)


def test_what_lies_above_half_the_new_rate_is_taken_out():
    time = np.arange(32_000) / 16_000
    high = np.sin(2 * np.pi * 6000 * time).astype(np.float32)
    assert np.abs(resample(high, 16_000, 8000)[1000:-1000]).max() < 1e-4


def test_the_same_rate_changes_nothing():
    samples = noise(0.1, 8000)
    assert resample(samples, 8000, 8000) is samples


def test_16_bits_come_back():
    every = np.arange(-32768, 32768).astype(np.int16)
    np.testing.assert_array_equal(to_int16(to_float(every)), every)
