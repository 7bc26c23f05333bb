"""Compute the next items in a thread while the caller works on the current one."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import repeat
from typing import TypeVar

import torch

Item = TypeVar("Item")


def run_ahead(
    tasks: Iterable[Callable[[], Item]], count: int, begin: Callable[[], object] | None = None
) -> Generator[Item, None, None]:
    """Yield the results of tasks in order; a thread computes the next ones in the meantime.

    A task must not depend on what is done with earlier results. Its exceptions are raised here,
    in order.

    Args:
        tasks: The tasks; the iterable is consumed in this thread, not in the other one.
        count: Maximum number of tasks computed ahead.
        begin: Called first in the thread.

    >>> list(run_ahead((partial(pow, 2, power) for power in range(4)), count=2))
    [1, 2, 4, 8]
    """
    thread = ThreadPoolExecutor(1, "kochi-ahead", begin)
    waiting: deque[Future[Item]] = deque()
    try:
        for task in tasks:
            waiting.append(thread.submit(task))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        thread.shutdown(cancel_futures=True)


def iterate_ahead(items: Iterable[Item], count: int) -> Generator[Item, None, None]:
    """Iterate over items that are made in a thread; see `run_ahead`.

    The thread uses as many torch threads as the caller, since these determine how sums are split.

    >>> list(iterate_ahead(range(3), count=2))
    [0, 1, 2]
    """
    nothing = object()
    take = partial(next, iter(items), nothing)
    made = run_ahead(repeat(take), count, partial(_have_threads, torch.get_num_threads()))
    try:
        for item in made:
            if item is nothing:
                return
            yield item  # pyright: ignore[reportReturnType]
    finally:
        made.close()


def _have_threads(count: int) -> None:
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
