"""Batches answered side by side, one core each.

A step of search is made of many small operations, which two cores share badly: the same two batches
one beside the other take three quarters of the time.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from kochi.search.pages import keep_pages

Item = TypeVar("Item")
Result = TypeVar("Result")

SMALLEST_SHARE = 16  # sentences; the work of a smaller batch is mostly overhead


def share_size(num_items: int, batch_size: int, workers: int) -> int:
    """Return how many items to put in a batch, so that no worker stays idle for long."""
    if workers == 1:
        return batch_size
    return min(batch_size, max(SMALLEST_SHARE, -(-num_items // workers)))


def in_parallel(
    work: Callable[[Item], Result], batches: Sequence[Item], device: torch.device
) -> list[Result]:
    """Return ``work`` of each batch, in their order.

    On the CPU each of torch's threads takes whole batches and computes them alone; meanwhile the
    number of torch's threads is 1 in the whole process. Elsewhere one batch follows the other.

    Args:
        work: Must not count on what torch keeps for each thread, such as the gradient mode.
        batches: What to work on; the first ones are taken first. The longest should come first, or
            the last to finish leaves the other threads idle.
        device: Where the work computes.
    """
    if device.type == "cpu":
        keep_pages()
    workers = min(num_workers(device), len(batches))
    if workers <= 1:
        return list(map(work, batches))
    with _one_core_each(), ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, batches))


def num_workers(device: torch.device) -> int:
    """Return how many batches `in_parallel` computes side by side."""
    return torch.get_num_threads() if device.type == "cpu" else 1


@contextlib.contextmanager
def _one_core_each() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # new threads take it over
    try:
        yield
    finally:
        torch.set_num_threads(threads)
