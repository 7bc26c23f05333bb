"""Batches computed in parallel, one core each.

A step of search consists of many small operations, which two cores share badly: computing the same
two batches side by side takes three quarters of the time.

Torch stores its number of threads twice: for each thread that has used torch, and for future
threads. Here only threads of our own are set to 1, and the number for future threads is restored at
once, so that calls from several threads leave torch unchanged.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

SMALLEST_SHARE = 16  # sentences; a smaller batch is mostly overhead

_pools: dict[int, ThreadPoolExecutor] = {}  # by number of threads; they are never stopped
_setting = threading.Lock()  # held while torch's number for future threads is 1


def share_size(num_items: int, batch_size: int, workers: int) -> int:
    """Return the number of items per batch that keeps all workers busy until the end."""
    if workers == 1:
        return batch_size
    return min(batch_size, max(SMALLEST_SHARE, -(-num_items // workers)))


def in_parallel(
    work: Callable[[Item], Result], batches: Sequence[Item], device: torch.device
) -> list[Result]:
    """Return the results of ``work`` for all batches, in order.

    On the CPU there are as many threads as torch has here; each takes whole batches and computes
    them alone, and several calls share these threads. On other devices batches are computed in
    sequence.

    Args:
        work: Must not depend on torch's thread-local state, such as the gradient mode.
        batches: The batches, which are started in order. The longest should come first, or the last
            to finish leaves the other threads idle.
        device: The device of the computation.
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
    """Return the number of batches that `in_parallel` computes at a time."""
    return settle_threads() if device.type == "cpu" else 1


def settle_threads() -> int:
    """Return torch's number of threads, which a thread that is new to torch adopts here.

    Call it in a thread before it uses torch, so that it does not adopt the number for the threads
    of `in_parallel`.
    """
    with _setting:
        return torch.get_num_threads()


def _take_one_core() -> None:
    """Set torch's number of threads to 1 for this thread only."""
    with _setting:
        count = torch.get_num_threads()  # first: otherwise torch would set it later
        restoring = threading.Thread(target=torch.set_num_threads, args=(count,))
        torch.set_num_threads(1)
        restoring.start()
        restoring.join()


def _forget_threads() -> None:
    """Reset the pools in a forked process, whose copies have no threads."""
    global _setting
    _pools.clear()
    _setting = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
