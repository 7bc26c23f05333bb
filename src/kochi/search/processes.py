"""Batches answered by processes of their own.

Threads that call many small operations wait for Python's lock in turns, and each wait costs more
than the operation: on two cores of an EPYC (Zen 5) two threads searched 8,200 tokens a second at
beam 5 and 15,000 at beam 1, where two processes searched 9,000 and 21,800. Copies of
a running process (fork) would begin at once, but MKL's allocator can hang in them; these processes
begin anew, which takes a second or more, and so stay.
"""

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Generic, TypeVar

import torch

from kochi.search.pages import keep_pages

Item = TypeVar("Item")
Result = TypeVar("Result")

_work: Callable[[Any], Any] | None = None  # in a process of the pool


class Processes(Generic[Item, Result]):
    """Processes that each prepare the work once and then compute batches, one core each.

    Close it, or use it in a ``with`` statement. A script that makes one must keep what it does
    under ``if __name__ == "__main__":``, as each process reads the script again.

    Args:
        count: How many processes.
        prepare: What a process calls when it begins; returns what turns a batch into its result. A
            function of a module, called with ``arguments``; batches and results are pickled.
        arguments: Given to ``prepare``, pickled.

    Raises:
        ValueError: ``count`` is not positive.
    """

    def __init__(
        self, count: int, prepare: Callable[..., Callable[[Item], Result]], *arguments: Any
    ) -> None:
        if count < 1:
            raise ValueError(f"processes: expected at least 1, got {count}")
        self.count = count
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, context, _begin, (prepare, arguments))

    def map(self, batches: Sequence[Item]) -> list[Result]:
        """Return what becomes of each batch, in their order; the first ones are taken first.

        Raises:
            RuntimeError: A process ended before its time.
        """
        try:
            return [pickle.loads(answer) for answer in self._pool.map(_compute, batches)]
        except BrokenProcessPool as error:
            raise RuntimeError(
                "a process that computes answers ended before its time: killed, for want of memory "
                'perhaps, or the script does not stand under `if __name__ == "__main__":`'
            ) from error

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> "Processes[Item, Result]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# -------------------------------------------------------------------------------- in a process


def _begin(prepare: Callable[..., Callable[[Any], Any]], arguments: tuple[Any, ...]) -> None:
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process answers it
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    torch.set_num_threads(1)
    keep_pages()
    _work = prepare(*arguments)


def _end_with_the_first() -> None:
    first = multiprocessing.parent_process()
    assert first is not None
    first.join()  # however it ended
    os._exit(1)


def _compute(batch: Any) -> bytes:
    assert _work is not None
    # Pickled here: the pool's own way would send each tensor as a file of shared memory.
    return pickle.dumps(_work(batch))
