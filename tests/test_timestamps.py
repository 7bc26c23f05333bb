"""When words were said, on alignments that can be followed by hand."""

from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kochi.memory import Frames
from kochi.timestamps import (
    REACH_SECONDS,
    Stretches,
    Timed,
    find_stretches,
    forward_path,
    time_tokens,
    time_words,
)

LAYOUT = Frames(hop_seconds=0.1, first_seconds=0.05)


def alignment(*peaks: int, length: int = 10) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(peaks), length).float()


def timed(weights, tokens, end_seconds):
    stretches = find_stretches(weights, LAYOUT, end_seconds)
    return time_tokens(tokens, stretches, LAYOUT, end_seconds)


def spans(found):
    return [(pytest.approx(one.start_seconds), pytest.approx(one.end_seconds)) for one in found]


def test_each_position_belongs_to_the_token_that_looks_at_it():
    weights = torch.tensor(
        [
            [0.4, 0.4, 0.2, 0.0, 0.0, 0.0],
            [0.0, 0.1, 0.5, 0.4, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.2, 0.4, 0.4],
        ]
    )
    found = timed(weights, ["a", "b", "c"], 0.6)
    assert [one.text for one in found] == ["a", "b", "c"]
    assert spans(found) == [(0.0, 0.2), (0.2, 0.4), (0.4, 0.6)]


def test_spans_stay_in_the_recording_and_do_not_reach_over_pauses():
    weights = alignment(2, 30, 33, length=40)
    weights[0, 2:20] = 1.0 / 18
    weights[1, 20:32] = 1.0 / 12
    first, second, third = timed(weights, ["a", "b", "c"], 4.0)
    assert first.end_seconds == pytest.approx(1.1 + REACH_SECONDS, abs=0.02)
    assert second.start_seconds == pytest.approx(2.6 - REACH_SECONDS, abs=0.02)
    assert second.end_seconds <= third.start_seconds
    assert third.end_seconds <= 4.0


def test_silence_at_the_ends_belongs_to_no_token():
    """The first and the last token reach about as far outwards as tokens lie apart."""
    first, last = timed(alignment(10, 13, length=30), ["a", "b"], 3.0)
    assert first.start_seconds > 0.7
    assert last.end_seconds < 1.8


def test_a_token_that_looks_where_a_later_one_looks_gives_way():
    found = timed(alignment(2, 8, 4, 8), list("abcd"), 1.0)
    starts = [one.start_seconds for one in found]
    assert starts == sorted(starts)
    assert found[2].start_seconds <= 0.45 <= found[2].end_seconds


def test_more_tokens_than_positions_share_them():
    found = timed(torch.eye(2).repeat_interleave(2, 0), list("abcd"), 0.2)
    assert spans(found) == [(0.0, 0.05), (0.05, 0.1), (0.1, 0.15), (0.15, 0.2)]


def test_no_tokens_have_no_times():
    assert timed(torch.zeros(0, 5), [], 1.0) == ()


@given(st.integers(1, 4), st.integers(0, 3), st.data())
def test_the_forward_path_is_the_best_of_all(rows, more, data):
    columns = rows + more
    cell = st.integers(-9, 9)
    row = st.lists(cell, min_size=columns, max_size=columns)
    gains = np.array(data.draw(st.lists(row, min_size=rows, max_size=rows)), dtype=float)

    def gain(first):
        return sum(
            gains[row, start:end].sum()
            for row, (start, end) in enumerate(pairwise([*first, columns]))
        )

    found = forward_path(gains).tolist()
    every = ([0, *rest] for rest in combinations(range(1, columns), rows - 1))
    assert found[0] == 0
    assert found == sorted(set(found))
    assert gain(found) == max(map(gain, every))


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
    monkeypatch.setattr("kochi.timestamps.REACH_SECONDS", 5.0)
    times = [Timed(piece, float(position), position + 1.0) for position, piece in enumerate(pieces)]
    positions = np.arange(len(pieces) + 1.0)
    stretches = Stretches(positions[:-1], positions[1:], positions[:-1] + 0.5)
    words = time_words(pieces, stretches, times)
    assert [(one.text, one.start_seconds, one.end_seconds) for one in words] == expected


def test_words_do_not_reach_over_pauses():
    stretches = Stretches(
        np.array([0.0, 1.5, 2.5]), np.array([1.5, 2.5, 5.0]), np.array([0.7, 2.0, 4.0])
    )
    times = time_tokens(["a", " ", "b"], stretches, LAYOUT, 5.0)
    first, second = time_words(["a", " ", "b"], stretches, times)
    assert first.end_seconds == pytest.approx(0.7 + REACH_SECONDS)
    assert second.start_seconds == pytest.approx(4.0 - REACH_SECONDS)
    assert first.start_seconds == pytest.approx(0.7 - REACH_SECONDS)
    assert second.end_seconds == pytest.approx(4.0 + REACH_SECONDS)
