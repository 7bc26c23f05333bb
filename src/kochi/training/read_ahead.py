"""Make the next batches while the model computes."""

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")
AHEAD = 4  # items that wait at most
POLL_SECONDS = 0.5


def read_ahead(items: Iterable[Item], count: int = AHEAD) -> Generator[Item, None, None]:
    """Give items in their order; a thread makes the next ones meanwhile.

    Making an item must not depend on what becomes of those before. What is raised then is raised
    here, in its place.

    Args:
        items: Are iterated over in the thread.
        count: How many may wait.

    >>> list(read_ahead(range(3)))
    [0, 1, 2]
    """
    waiting: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(count)
    stop, threads = threading.Event(), torch.get_num_threads()

    def put(item: Any, error: BaseException | None = None) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                waiting.put((item, error), timeout=POLL_SECONDS)
                return

    def work() -> None:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)  # of this thread: sums are then split as in the other
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    return
        except BaseException as error:
            put(None, error)
        else:
            put(_END)

    thread = threading.Thread(target=work, name="kochi-read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stop.set()
        thread.join()


_END = object()
