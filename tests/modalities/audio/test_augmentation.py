import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kochi.modalities.audio.augmentation import (
    Masks,
    change_speed,
    change_tempo,
    draw_spans,
    mask_spectrograms,
    perturb_speed,
    perturb_tempo,
)
from kochi.modalities.audio.resampling import to_int16
from tests.modalities.audio.sounds import sine

SEEDS = st.integers(0, 2**32)


def draws(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(SEEDS, st.integers(1, 60), st.integers(0, 50), st.floats(0, 1), st.integers(0, 4))
def test_frames_hidden_are_whole_and_within_bounds(seed, length, width, share, count):
    masks = Masks(time_masks=count, time_width=width, time_share=share, bin_masks=0)
    found = mask_spectrograms(torch.ones(1, 60, 5), torch.tensor([length]), masks, draws(seed))[0]
    hidden = found[:, 0] == 0
    assert torch.equal(found, (~hidden).float()[:, None].expand(60, 5))
    assert not hidden[length:].any()
    assert hidden.sum() <= count * min(width, int(share * length))


@given(SEEDS, st.integers(0, 30), st.integers(0, 3))
def test_bins_hidden_are_hidden_in_all_frames_and_deltas(seed, width, count):
    masks = Masks(time_masks=0, bin_masks=count, bin_width=width)
    frames = torch.ones(1, 7, 3 * 11)
    found = mask_spectrograms(frames, torch.tensor([6]), masks, draws(seed), streams=3)[0]
    hidden = (found[0] == 0).reshape(3, 11)
    assert torch.equal(hidden[0], hidden[1]) and torch.equal(hidden[0], hidden[2])
    assert torch.equal(found[:6], found[:1].expand(6, 33))
    assert torch.equal(found[6], torch.ones(33))  # padding
    assert hidden[0].sum() <= count * min(width, 11)


@given(SEEDS)
def test_the_same_draws_hide_the_same_whatever_the_padding(seed):
    frames = torch.arange(1, 2 * 9 * 5 + 1).float().reshape(2, 9, 5)
    lengths, masks = torch.tensor([9, 4]), Masks(time_share=1.0, bin_width=3)
    found = mask_spectrograms(frames, lengths, masks, draws(seed))
    longer = torch.nn.functional.pad(frames, (0, 0, 0, 8))
    again = mask_spectrograms(longer, lengths, masks, draws(seed))
    assert torch.equal(again[:, :9], found)
    assert torch.equal(frames.flatten(), torch.arange(1, 91).float())  # left as they were


def test_every_width_and_place_is_drawn():
    generator = draws(0)
    spans = {draw_spans(3, 2, 1, generator)[0] for _ in range(500)}
    empty = {(0, 0), (1, 1), (2, 2), (3, 3)}
    assert spans == empty | {(0, 1), (1, 2), (2, 3)} | {(0, 2), (1, 3)}


def test_masks_of_one_utterance_differ():
    masks = Masks(time_masks=1, time_width=50, time_share=1.0, bin_masks=0)
    frames, lengths = torch.ones(8, 100, 1), torch.full((8,), 100)
    found = mask_spectrograms(frames, lengths, masks, draws(0))
    assert len(found.unique(dim=0)) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [({"bin_width": -1}, "at least 0, got Masks"), ({"time_share": 1.1}, "from 0 to 1, got 1.1")],
)
def test_masks_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Masks(**options)


@pytest.mark.parametrize("streams", [0, 2])
def test_streams_that_do_not_fit_are_refused(streams):
    with pytest.raises(ValueError, match=f"frames of 5 numbers cannot be {streams} times"):
        mask_spectrograms(
            torch.ones(1, 2, 5), torch.tensor([2]), Masks(), draws(0), streams=streams
        )


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.3])
def test_a_faster_tone_is_higher_and_shorter(factor):
    samples = to_int16(sine(1.0, 8000, 400.0))
    found = change_speed(samples, factor)
    assert len(found) == round(8000 / factor)
    expected = to_int16(sine(len(found) / 8000, 8000, 400.0 * factor)).astype(int)
    assert np.abs(found - expected)[800:-800].max() <= 3


def test_the_speed_1_changes_nothing():
    samples = to_int16(sine(0.1, 8000))
    assert change_speed(samples, 1.0) is samples


def test_each_speed_is_drawn_and_the_same_draws_give_the_same():
    samples, generator = to_int16(sine(0.1, 8000)), draws(0)
    lengths = {len(perturb_speed(samples, (0.8, 1.0, 1.25), generator)) for _ in range(100)}
    assert lengths == {1000, 800, 640}
    for seed in range(9):
        one, other = (perturb_speed(samples, (0.8, 1.25), draws(seed)) for _ in range(2))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("factor", [0.4, 0.85, 1.0, 1.3, 5.0])
def test_tempo_keeps_a_line_a_line(factor):
    line = np.arange(40, dtype=np.float32)[:, None] * np.array([1.0, -2.0], np.float32)
    changed = change_tempo(line, factor)
    assert changed.shape == (round(40 / factor), 2)
    inside = np.arange(len(changed)) * factor <= 39
    expected = np.arange(len(changed))[:, None] * factor * np.array([1.0, -2.0])
    np.testing.assert_allclose(changed[inside], expected[inside], rtol=1e-5, atol=1e-5)


def test_tempo_is_drawn_among_those_given():
    frames, found = np.ones((10, 3), np.float32), set()
    generator = draws(5)
    for _ in range(40):
        found.add(len(perturb_tempo(frames, [0.5, 1.0, 2.0], generator)))
    assert found == {20, 10, 5}


def test_one_frame_stays_one():
    assert change_tempo(np.ones((1, 2), np.float32), 9.0).tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("speeds", [[], [0.0], [1.0, -1.0], [11.0], [float("nan")]])
def test_speeds_that_cannot_be_are_refused(speeds):
    with pytest.raises(ValueError, match=r"expected speeds from 0\.1 to 10, at least one; got"):
        perturb_speed(np.zeros(10, np.int16), speeds, draws(0))
