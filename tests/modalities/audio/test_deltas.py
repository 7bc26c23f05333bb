import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kochi.modalities.audio.deltas import append_deltas


def formula(column: list[float], reach: int) -> list[float]:
    """HTK's equation 5.16, with the frames at the ends repeated."""
    last = len(column) - 1
    norm = 2 * sum(n * n for n in range(1, reach + 1))
    return [
        sum(n * (column[min(t + n, last)] - column[max(t - n, 0)]) for n in range(1, reach + 1))
        / norm
        for t in range(len(column))
    ]


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=12), st.integers(1, 3))
def test_first_deltas_are_the_formula(column, reach):
    frames = torch.tensor(column, dtype=torch.float64)[:, None]
    found = append_deltas(frames, order=1, reach=reach)
    torch.testing.assert_close(found[:, 0], frames[:, 0])
    torch.testing.assert_close(found[:, 1], torch.tensor(formula(column, reach)).double())


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=12), st.integers(1, 3))
def test_second_deltas_are_the_formula_twice_over_repeated_frames(column, reach):
    frames = torch.tensor(column, dtype=torch.float64)[:, None]
    wide = [column[0]] * 2 * reach + column + [column[-1]] * 2 * reach
    twice = formula(formula(wide, reach), reach)[2 * reach : -2 * reach]
    found = append_deltas(frames, order=2, reach=reach)
    torch.testing.assert_close(found[:, 2], torch.tensor(twice).double())


def test_a_parabola_by_hand():
    frames = torch.arange(11.0)[:, None] ** 2 / 2
    inner = append_deltas(frames, order=2)[4:7]
    torch.testing.assert_close(
        inner, torch.tensor([[8, 4, 1], [12.5, 5, 1], [18, 6, 1]], dtype=torch.float32)
    )


def test_numbers_stand_in_groups_of_one_order():
    frames = torch.arange(7.0)[:, None] * torch.tensor([1.0, 10.0, 100.0])
    torch.testing.assert_close(
        append_deltas(frames, order=2)[3],
        torch.tensor([3.0, 30.0, 300.0, 1.0, 10.0, 100.0, 0.0, 0.0, 0.0]),
    )


def test_padding_changes_nothing():
    frames = torch.arange(2 * 5 * 3.0).reshape(2, 5, 3) ** 2
    lengths = torch.tensor([5, 2])
    padded = torch.cat([frames, torch.full((2, 7, 3), float("nan"))], 1)
    padded[1, 2:] = float("nan")
    found = append_deltas(padded, lengths=lengths)
    for row, length in enumerate(lengths.tolist()):
        assert torch.equal(found[row, :length], append_deltas(frames[row, :length]))


def test_order_0_adds_nothing():
    frames = torch.ones(2, 3)
    assert torch.equal(append_deltas(frames, order=0), frames)


@pytest.mark.parametrize(("order", "reach"), [(3, 2), (-1, 2), (1, 0)])
def test_other_orders_are_refused(order, reach):
    with pytest.raises(ValueError, match=f"reach at least 1, got {order} and {reach}"):
        append_deltas(torch.ones(2, 3), order=order, reach=reach)
