"""When words were said, on alignments that can be followed by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kochi.memory import Frames
from kochi.times import REACH_SECONDS, Timed, find_centres, rising, time_tokens, time_words

LAYOUT = Frames(hop_seconds=0.1, first_seconds=0.05)


def alignment(*peaks: int, length: int = 10) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(peaks), length).float()


def timed(weights, tokens, end_seconds):
    return time_tokens(tokens, find_centres(weights, LAYOUT, end_seconds), LAYOUT, end_seconds)


def spans(found):
    return [(pytest.approx(one.start_seconds), pytest.approx(one.end_seconds)) for one in found]


def test_borders_are_half_way_between_centres():
    found = timed(alignment(1, 3, 7), ["a", "b", "c"], 1.0)
    assert [one.text for one in found] == ["a", "b", "c"]
    assert spans(found) == [(0.05, 0.25), (0.25, 0.55), (0.55, 0.95)]


def test_spans_stay_in_the_recording_and_do_not_reach_over_pauses():
    found = timed(alignment(0, 38, 39, length=40), ["a", "b", "c"], 4.0)
    assert spans(found) == [(0.0, 0.55), (3.85 - REACH_SECONDS, 3.9), (3.9, 4.0)]


def test_a_centre_is_a_mean_near_the_peak():
    weights = torch.zeros(1, 40)
    weights[0, [4, 5, 6, 30]] = torch.tensor([0.2, 0.3, 0.2, 0.3])
    weights[0, 6] += 0.01
    [found] = timed(weights, ["a"], 4.0)
    middle = (found.start_seconds + found.end_seconds) / 2
    assert middle == pytest.approx((0.2 * 0.45 + 0.3 * 0.55 + 0.21 * 0.65) / 0.71)


def test_a_token_that_looks_back_gives_way():
    weights = alignment(2, 8, 4, 8)
    weights[1] *= 0.01  # it hardly looks there
    found = timed(weights, list("abcd"), 1.0)
    starts = [one.start_seconds for one in found]
    assert starts == sorted(starts)
    assert found[2].end_seconds < 0.7


def test_no_tokens_have_no_times():
    assert timed(torch.zeros(0, 5), [], 1.0) == ()


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=9), st.data())
def test_rising_is_the_nearest_of_all_that_rise(values, data):
    """No step towards any other rising row gets nearer (the set is convex)."""
    numbers = np.array(values)
    weights = np.array(data.draw(st.lists(st.floats(0.1, 3), min_size=9, max_size=9)))
    weights = weights[: len(numbers)]
    found = rising(numbers, weights)
    assert (np.diff(found) >= -1e-12).all()
    other = np.sort(data.draw(st.permutations(values)))
    assert (weights * (numbers - found) * (other - found)).sum() <= 1e-9


@given(st.lists(st.integers(0, 19), min_size=1, max_size=8))
def test_spans_follow_each_other_within_the_recording(peaks):
    found = timed(alignment(*peaks, length=20), ["x"] * len(peaks), 2.0)
    ends = [0.0]
    for one in found:
        assert ends[-1] <= one.start_seconds + 1e-9
        assert one.start_seconds <= one.end_seconds <= 2.0
        ends.append(one.end_seconds)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["a", "b", " ", "c"], [("ab", 0, 2.5), ("c", 2.5, 4)]),
        ([" ab", " c"], [("ab", 0, 1), ("c", 1, 2)]),
        ([" a", "b c", "d"], [("ab", 0, 1.5), ("cd", 1.5, 3)]),
        (["", "a", ""], [("a", 1, 2)]),
        ([" ", ""], []),
    ],
)
def test_tokens_are_joined_to_words(pieces, expected, monkeypatch):
    monkeypatch.setattr("kochi.times.REACH_SECONDS", 5.0)
    times = [Timed(piece, float(place), place + 1.0) for place, piece in enumerate(pieces)]
    words = time_words(pieces, np.arange(len(pieces)) + 0.5, times, float(len(pieces)))
    assert [(one.text, one.start_seconds, one.end_seconds) for one in words] == expected


def test_words_do_not_reach_over_pauses():
    centres = np.array([1.0, 1.2, 4.0])
    times = time_tokens(["a", " ", "b"], centres, LAYOUT, 5.0)
    first, second = time_words(["a", " ", "b"], centres, times, 5.0)
    assert first.end_seconds == pytest.approx(1.0 + REACH_SECONDS)
    assert second.start_seconds == pytest.approx(4.0 - REACH_SECONDS)
    assert first.start_seconds == pytest.approx(1.0 - REACH_SECONDS)
    assert second.end_seconds == pytest.approx(4.0 + REACH_SECONDS)
