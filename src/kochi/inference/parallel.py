"""Batches answered side by side, one core each.

A step of search is made of many small operations, which two cores share badly: the same two batches
one beside the other take three quarters of the time.

Torch keeps its number of threads twice: for each thread that has used torch, and for threads to
come. Here only threads of our own are set to 1, and the number for threads to come is put back at
once, so that calls from several threads leave torch as it was.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

SMALLEST_SHARE = 16  # sentences; the work of a smaller batch is mostly overhead

_pools: dict[int, ThreadPoolExecutor] = {}  # by their number of threads, which stay
_setting = threading.Lock()  # while torch's number for threads to come is 1


def share_size(num_items: int, batch_size: int, workers: int) -> int:
    """Return how many items to put in a batch, so that no worker stays idle for long."""
    if workers == 1:
        return batch_size
    return min(batch_size, max(SMALLEST_SHARE, -(-num_items // workers)))


def in_parallel(
    work: Callable[[Item], Result], batches: Sequence[Item], device: torch.device
) -> list[Result]:
    """Return ``work`` of each batch, in their order.

    On the CPU each of as many threads as torch has here takes whole batches and computes them
    alone; several calls share these threads. Elsewhere one batch follows the other.

    Args:
        work: Must not count on what torch keeps for each thread, such as the gradient mode.
        batches: What to work on; the first ones are taken first. The longest should come first, or
            the last to finish leaves the other threads idle.
        device: Where the work computes.
    """
    workers = num_workers(device)
    if min(workers, len(batches)) <= 1:
        return list(map(work, batches))
    with _setting:
        pool = _pools.get(workers) or ThreadPoolExecutor(workers, "kochi", _take_one_core)
        _pools[workers] = pool
    futures = [pool.submit(work, batch) for batch in batches]
    try:
        return [future.result() for future in futures]
    finally:
        wait([future for future in futures if not future.cancel()])


def num_workers(device: torch.device) -> int:
    """Return how many batches `in_parallel` computes side by side."""
    return settle_threads() if device.type == "cpu" else 1


def settle_threads() -> int:
    """Return torch's number of threads, which a thread that is new to torch takes over here.

    Call it in a thread before it uses torch, so that it does not take over what is meant for
    threads of `in_parallel`.
    """
    with _setting:
        return torch.get_num_threads()


def _take_one_core() -> None:
    """Set torch's number of threads to 1 for this thread alone."""
    with _setting:
        count = torch.get_num_threads()  # first: else torch would set it later
        restoring = threading.Thread(target=torch.set_num_threads, args=(count,))
        torch.set_num_threads(1)
        restoring.start()
        restoring.join()


def _forget_threads() -> None:
    """In a forked process: its copies of the pools have no threads."""
    global _setting
    _pools.clear()
    _setting = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
