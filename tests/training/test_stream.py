from collections.abc import Iterator
from typing import Any

import pytest

from kochi.training.stream import Group, StepStream


class Number:
    """Stands for a batch; its number of tokens tells it from the others."""

    def __init__(self, number: int) -> None:
        self.global_num_tokens = number


class Numbers:
    """Stands for TokenBatches: epoch 3 gives 301, 302, ..."""

    def __init__(self, length: int) -> None:
        self.length, self.epoch, self.next = length, 0, 0

    def __len__(self) -> int:
        return self.length

    def set_epoch(self, epoch: int) -> None:
        if epoch != self.epoch:
            self.epoch, self.next = epoch, 0

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "next": self.next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.next = state["epoch"], state["next"]

    def __iter__(self) -> Iterator[Number]:
        while self.next < self.length:
            self.next += 1
            yield Number(100 * self.epoch + self.next)


def _groups(length: int, accumulate: int, epochs: int = 3, **options: Any) -> list[Group]:
    batches: Any = Numbers(length)
    return list(StepStream(batches, accumulate, epochs, **options))


def _tokens(groups: list[Group]) -> list[list[int]]:
    return [[batch.global_num_tokens for batch in group.batches] for group in groups]


def test_groups_do_not_reach_over_the_end_of_an_epoch() -> None:
    groups = _groups(5, 2, epochs=2)
    assert _tokens(groups) == [[1, 2], [3, 4], [5], [101, 102], [103, 104], [105]]
    assert [group.num_tokens for group in groups] == [3, 7, 5, 203, 207, 105]
    assert [group.epoch for group in groups] == [0, 0, 0, 1, 1, 1]
    assert [group.ends_epoch for group in groups] == [False, False, True] * 2
    assert [group.ends_run for group in groups] == [False] * 5 + [True]


def test_an_epoch_of_full_groups_ends_with_a_full_one() -> None:
    groups = _groups(4, 2, epochs=1)
    assert _tokens(groups) == [[1, 2], [3, 4]]
    assert [group.ends_epoch for group in groups] == [False, True]


def test_max_steps_ends_the_run_in_the_middle() -> None:
    groups = _groups(5, 2, max_steps=4)
    assert _tokens(groups)[-1] == [101, 102]
    assert [group.ends_run for group in groups] == [False] * 3 + [True]
    assert [group.ends_epoch for group in groups] == [False, False, True, False]


@pytest.mark.parametrize("accumulate", [1, 2, 3, 7])
@pytest.mark.parametrize("max_steps", [None, 6])
def test_going_on_after_any_step_gives_the_rest(accumulate: int, max_steps: int | None) -> None:
    whole = _groups(7, accumulate, max_steps=max_steps)
    for done in range(1, len(whole) + 1):
        rest = _groups(
            7, accumulate, max_steps=max_steps, position=whole[done - 1].position, step=done
        )
        assert _tokens(rest) == _tokens(whole[done:])
        assert [g.ends_run for g in rest] == [g.ends_run for g in whole[done:]]
        assert [g.ends_epoch for g in rest] == [g.ends_epoch for g in whole[done:]]


def test_the_number_of_steps_is_known_beforehand() -> None:
    batches: Any = Numbers(7)
    stream = StepStream(batches, 3, 2)
    assert (stream.epoch_steps, stream.total_steps) == (3, 6)
    assert len(list(stream)) == 6
