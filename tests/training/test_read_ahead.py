"""Batches that are made while the model computes."""

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from kochi.training.read_ahead import read_ahead


def test_items_come_in_their_order_and_some_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            made.append(number)
            yield number

    taken = read_ahead(items(), count=3)
    assert next(taken) == 0
    deadline = time.monotonic() + 10.0
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(made) == 5  # three wait, one is in the thread's hand, one was taken
    assert list(taken) == list(range(1, 20))


def test_an_error_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second")

    taken = read_ahead(items())
    assert next(taken) == 1
    with pytest.raises(ValueError, match="the second"):
        next(taken)


def test_the_thread_ends_with_whoever_reads() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 1

    taken = read_ahead(endless())
    next(taken)
    taken.close()
    assert not [one for one in threading.enumerate() if one.name == "kochi-read-ahead"]


def test_the_thread_has_as_many_torch_threads() -> None:
    def items() -> Iterator[int]:
        yield torch.get_num_threads()

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert list(read_ahead(items())) == [3]
    finally:
        torch.set_num_threads(before)
