import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kochi.modalities.audio.normalisation import Moments, Normalisation, measure, normalise_each


@given(st.lists(st.integers(0, 5), max_size=6).filter(any))
def test_the_stream_may_be_cut_anywhere(lengths):
    frames = torch.arange(sum(lengths) * 3.0).reshape(-1, 3) ** 2 + 7
    found = measure(frames.split(lengths))
    torch.testing.assert_close(found.mean, frames.double().mean(0).float())
    expected = frames.double().std(0, correction=0).float()
    torch.testing.assert_close(found.std, torch.where(expected > 0, expected, 1.0))


def test_a_large_mean_does_not_hide_the_deviation():
    frames = 1e6 + torch.tensor([[-1.0], [1.0]]).repeat(50_000, 1)
    torch.testing.assert_close(measure(frames.split(7)).std, torch.tensor([1.0]))


def test_what_was_measured_comes_out_with_mean_0_and_deviation_1():
    frames = torch.arange(60.0).reshape(20, 3).sin() * torch.tensor([1.0, 10.0, 100.0]) + 5
    normal = measure([frames]).apply(frames)
    torch.testing.assert_close(normal.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(normal.std(0, correction=0), torch.ones(3))


def test_a_number_that_never_changes_becomes_0():
    frames = torch.tensor([[0.1, 1.0], [0.1, 3.0], [0.1, 5.0]])
    found = measure(frames.split(1))
    assert found.std[0] == 1
    torch.testing.assert_close(found.apply(frames)[:, 0], torch.zeros(3))
    torch.testing.assert_close(normalise_each(frames)[:, 0], torch.zeros(3))


def test_lists_keep_it_exactly():
    found = measure([torch.tensor([[0.1, 0.2], [0.3, 0.7]])])
    again = Normalisation.from_lists(json.loads(json.dumps(found.to_lists())))
    assert torch.equal(again.mean, found.mean) and torch.equal(again.std, found.std)


@pytest.mark.parametrize(
    ("mean", "std"), [([1.0], [1.0, 2.0]), ([1.0], [0.0]), ([float("nan")], [1.0])]
)
def test_lists_that_cannot_be_are_refused(mean, std):
    with pytest.raises(ValueError, match="as many means as standard deviations, finite"):
        Normalisation.from_lists({"mean": mean, "std": std})


def test_frames_of_another_size_are_refused():
    with pytest.raises(ValueError, match="frames have 3 numbers, the normalisation 2"):
        Normalisation(torch.zeros(2), torch.ones(2)).apply(torch.zeros(5, 3))


def test_no_frames_are_refused():
    moments = Moments()
    moments.add(torch.zeros(0, 3))
    with pytest.raises(ValueError, match="no frames: expected at least one"):
        moments.normalisation()


def test_each_utterance_by_itself_whatever_the_padding():
    frames = torch.arange(2 * 5 * 3.0).reshape(2, 5, 3).sin()
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    frames[1, 2:] = float("nan")
    found = normalise_each(frames, mask)
    torch.testing.assert_close(found[0], normalise_each(frames[0]))
    torch.testing.assert_close(found[1, :2], normalise_each(frames[1, :2]))
    assert torch.equal(found[1, 2:], torch.zeros(3, 3))
    torch.testing.assert_close(found[0].mean(0), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(found[0].std(0, correction=0), torch.ones(3))


def test_an_utterance_of_one_frame_or_none_is_0():
    frames = torch.tensor([[[5.0]], [[7.0]]])
    found = normalise_each(frames, torch.tensor([[True], [False]]))
    assert torch.equal(found, torch.zeros(2, 1, 1))
