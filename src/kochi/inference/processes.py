"""Batches computed by separate processes.

Threads that call many small operations take turns holding Python's lock, and each wait costs more
than the operation: on two cores of an EPYC (Zen 5) two threads searched 8,200 tokens a second at
beam 5 and 15,000 at beam 1, where two processes searched 9,000 and 21,800. Copies of
a running process (fork) would start at once, but MKL's allocator can hang in them; these processes
are spawned, which takes a second or more, and are therefore kept.

They communicate over anonymous pipes, which no other process can reach. The executor of
`concurrent.futures` is unsuitable: if a process is interrupted while it starts, it prints a
traceback, and the main process ends only after all submitted work is done. Batches are pickled
here, as `multiprocessing` would send each tensor over a socket that it listens on.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker, util
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

import torch

from kochi.allocator import keep_pages
from kochi.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

GRACE_SECONDS = 10.0  # for a process to end by itself
NO_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")


class Processes(Generic[Item, Result]):
    """Processes that each prepare the work once and then compute batches, one core each.

    They are started when there is work for them. Close this object, or use it in a ``with``
    statement. A script that creates one must be guarded by ``if __name__ == "__main__":``, as each
    process imports the script. Several threads may call `map`; one waits for the other.

    Args:
        count: Number of processes.
        prepare: Called in each process at its start; returns the function that computes the result
            of a batch. It must be a module-level function, called with ``arguments``; batches and
            results are pickled.
        arguments: Arguments of ``prepare``, pickled.

    Raises:
        ValueError: ``count`` is not positive.
    """

    def __init__(
        self, count: int, prepare: Callable[..., Callable[[Item], Result]], *arguments: Any
    ) -> None:
        if count < 1:
            raise ValueError(f"processes: expected at least 1, got {count}")
        self.count = count
        self._prepare = pickle.dumps((prepare, arguments))
        self._running: list[_Process] = []
        self._lock = threading.Lock()
        # At the exit of the program, before multiprocessing terminates them and waits.
        util.Finalize(self, _kill, (self._running,), exitpriority=0)

    def map(self, batches: Sequence[Item]) -> list[Result]:
        """Return the results of all batches, in order; batches are started in order.

        An error in a batch is raised here. If a process has died, or this one is interrupted, all
        processes are ended, and the next call starts new ones.

        Raises:
            UserError: A process was killed, or ran out of memory.
        """
        with self._lock:
            try:
                self._begin(min(self.count, len(batches)))
                found, error = self._map(batches)
            except BaseException:
                _kill(self._running)
                raise
        if error is not None:
            raise error
        return [found[number] for number in range(len(batches))]

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            while self._running:
                self._running.pop().close()

    def __enter__(self) -> "Processes[Item, Result]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, count: int) -> None:
        for one in [one for one in self._running if one.is_gone()]:
            self._running.remove(one)
            one.close()
        if len(self._running) < count:
            # Starting it unblocks interrupts, so it must run before they are blocked.
            resource_tracker.ensure_running()
        while len(self._running) < count:
            with _interrupts_held():
                self._running.append(_Process(self._prepare))

    def _map(self, batches: Sequence[Item]) -> tuple[dict[int, Result], Exception | None]:
        """Return the results by number, and the first error, after which no batch is started."""
        waiting = deque(enumerate(batches))
        found: dict[int, Result] = {}
        failed: Exception | None = None
        busy: dict[Any, tuple[_Process, int]] = {}
        for one in self._running[: len(batches)]:
            number, batch = waiting.popleft()
            one.submit(batch)
            busy[one.pipe] = one, number
        while busy:
            for pipe in wait(list(busy)):
                one, number = busy.pop(pipe)
                error, found[number] = one.answer()
                failed = failed or error
                if waiting and failed is None:
                    number, batch = waiting.popleft()
                    one.submit(batch)
                    busy[pipe] = one, number
        return found, failed


class _Process:
    """A worker process, as seen from the main process."""

    def __init__(self, prepare: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, prepare), daemon=True)
        self.process.start()
        other.close()  # so that the pipe ends with the process

    def is_gone(self) -> bool:
        return bool(wait([self.process.sentinel], timeout=0))

    def submit(self, batch: Any) -> None:
        try:
            self.pipe.send_bytes(pickle.dumps(batch))
        except OSError:
            raise self._ended() from None

    def answer(self) -> tuple[Exception | None, Any]:
        try:
            return pickle.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            raise self._ended() from None

    def close(self) -> None:
        self.pipe.close()
        self.process.join(GRACE_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def _ended(self) -> UserError:
        self.process.join(GRACE_SECONDS)
        code = self.process.exitcode
        how, advice = "for an unknown reason" if code is None else f"exit code {code}", ""
        if code == -signal.SIGKILL:
            how, advice = "it was killed", ", perhaps for want of memory; use fewer processes"
        elif code is not None and code < 0:
            how = f"it was killed by signal {-code}"
        elif code == 1:
            advice = '; a script must make it under `if __name__ == "__main__":`'
        return UserError(f"a process that computes answers ended before its time: {how}{advice}")


def _kill(running: list[_Process]) -> None:
    for one in running:
        one.process.kill()
    while running:
        running.pop().close()


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Defer Ctrl-C until the end of the block; processes started in it never receive it.

    A new process inherits the mask. In this one, torch's threads receive the signal anyway, and
    Python then calls its handler.
    """
    held: list[Any] = []
    handler = signal.getsignal(signal.SIGINT)
    here = callable(handler) and threading.current_thread() is threading.main_thread()
    masks = hasattr(signal, "pthread_sigmask")  # not on Windows
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else ()
    try:
        if here:
            signal.signal(signal.SIGINT, lambda *signalled: held.append(signalled))
        yield
    finally:
        if here:
            signal.signal(signal.SIGINT, handler)
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if held and callable(handler):
        handler(*held[0])


# -------------------------------------------------------------------------------- in a process


def _serve(pipe: Connection, prepare: bytes) -> None:
    """Compute the batches from the pipe until it is closed."""
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    torch.set_num_threads(1)
    keep_pages()
    work: Callable[[Any], Any] | None = None
    with contextlib.suppress(EOFError, OSError):  # the main process is gone, or needs no more
        while True:
            batch = pipe.recv_bytes()
            try:
                if work is None:
                    make, arguments = pickle.loads(prepare)
                    work = make(*arguments)
                    assert work is not None
                answer = pickle.dumps((None, work(pickle.loads(batch))))
            except Exception as error:
                answer = _as_bytes(error)
            pipe.send_bytes(answer)


def _as_bytes(error: Exception) -> bytes:
    """Pickle an error: memory errors with a message for the user, others with their traceback."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(part in text for part in NO_MEMORY):
        error = UserError(
            "a process that computes answers has not enough memory; use fewer processes, or a "
            "smaller batch size"
        )
    elif not isinstance(error, UserError):
        error.add_note(f"in a process that computes answers:\n{traceback.format_exc()}")
    try:
        answer = pickle.dumps((error, None))
        pickle.loads(answer)
    except Exception:
        return pickle.dumps((RuntimeError(traceback.format_exc()), None))
    return answer


def _end_with_the_first() -> None:
    first = multiprocessing.parent_process()
    assert first is not None
    first.join()  # however it ended
    os._exit(1)
