"""Batches that are made while the model computes."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import torch

from kochi.ahead import iterate_ahead, run_ahead


def test_items_come_in_their_order_and_some_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            made.append(number)
            yield number

    taken = iterate_ahead(items(), count=3)
    assert next(taken) == 0
    deadline = time.monotonic() + 10.0
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(made) == 4  # one was taken, three wait
    assert list(taken) == list(range(1, 20))


def test_an_error_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second")

    taken = iterate_ahead(items(), 1)
    assert next(taken) == 1
    with pytest.raises(ValueError, match="the second"):
        next(taken)


def test_the_thread_ends_with_whoever_reads() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 1

    taken = iterate_ahead(endless(), 2)
    next(taken)
    taken.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("kochi-ahead")]


def test_the_thread_has_as_many_torch_threads() -> None:
    def items() -> Iterator[int]:
        yield torch.get_num_threads()

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert list(iterate_ahead(items(), 1)) == [3]
    finally:
        torch.set_num_threads(before)


def test_tasks_are_taken_here_and_done_there() -> None:
    here, taken = threading.get_ident(), []

    def tasks() -> Iterator[Callable[[], int]]:
        for _ in range(3):
            taken.append(threading.get_ident())
            yield threading.get_ident

    assert here not in list(run_ahead(tasks(), count=1))
    assert taken == [here] * 3
