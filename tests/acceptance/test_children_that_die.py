"""``--processes``: whatever happens to the processes, the command ends, in one line."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kochi.errors import UserError
from kochi.inference.processes import Processes

SOURCES = b"".join(b"%s\n" % word for word in (b"abc", b"de", b"fab", b"c") * 12)  # 12 batches
ANSWERS = SOURCES.upper().count(b"\n")


class Command:
    """``kochi predict --processes 2`` in a process group of its own, as a shell starts it."""

    def __init__(self, model: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kochi", "predict", str(model), "--processes", "2"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            # These tests may run in the background, where a shell has Ctrl-C ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.seen: list[psutil.Process] = []

    def ask_stopped(self) -> None:
        """Ask where the processes are stopped, and wait until the command waits for them."""
        for one in self.children():
            one.suspend()
        self.ask()
        asleep = 0
        while asleep < 10:  # it is not asleep while there are sources to read
            time.sleep(0.1)
            status = psutil.Process(self.process.pid).status()
            asleep = asleep + 1 if status == psutil.STATUS_SLEEPING else 0

    def ask(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(SOURCES)
        self.process.stdin.flush()

    def read_answers(self) -> None:
        assert self.process.stdout is not None
        for _ in range(ANSWERS):
            assert self.process.stdout.readline().strip()

    def children(self, count: int = 2) -> list[psutil.Process]:
        """Wait until so many processes that compute are there; return them."""
        for _ in range(600):
            found = psutil.Process(self.process.pid).children()
            found = [one for one in found if "spawn_main" in " ".join(one.cmdline())]
            if len(found) >= count:
                self.seen += found
                return found
            time.sleep(0.05)
        raise AssertionError("no processes began")

    def end(self) -> tuple[int, list[str]]:
        """Return the exit code and the lines on stderr; nothing that was begun still runs."""
        code = self.process.wait(60)
        assert self.process.stderr is not None
        _, alive = psutil.wait_procs(self.seen, timeout=20)
        assert alive == []
        return code, self.process.stderr.read().decode().splitlines()


@pytest.fixture
def command(tiny: Path) -> Iterator[Command]:
    one = Command(tiny)
    with one.process:
        try:
            yield one
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(one.process.pid, signal.SIGKILL)


def test_a_killed_process_is_one_line(command: Command) -> None:
    command.ask()
    command.read_answers()
    command.ask_stopped()
    command.seen[0].kill()
    code, lines = command.end()
    assert code == 2
    assert lines == [
        "kochi: a process that computes answers ended before its time: it was killed, perhaps for "
        "want of memory; use fewer processes"
    ]


def test_ctrl_c_at_work_is_one_line(command: Command) -> None:
    command.ask()
    command.read_answers()
    command.ask_stopped()
    os.killpg(command.process.pid, signal.SIGINT)
    assert command.end() == (130, ["kochi: stopped"])


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.8])
def test_ctrl_c_while_processes_begin_is_one_line(command: Command, seconds: float) -> None:
    command.ask()
    command.children(count=1)
    time.sleep(seconds)
    os.killpg(command.process.pid, signal.SIGINT)
    assert command.end() == (130, ["kochi: stopped"])


def prepare(limit: int):  # in a process that computes
    if limit == 0:
        raise UserError("model.safetensors: was altered")

    def work(batch: int) -> int:
        if batch < 0:
            raise MemoryError
        return os.getpid()

    return work


def test_a_process_without_memory_is_one_line() -> None:
    with Processes(1, prepare, 1) as pool:
        with pytest.raises(UserError, match="has not enough memory; use fewer processes"):
            pool.map([-1])
        [number] = pool.map([1])
        [process] = [one for one in multiprocessing.active_children() if one.pid == number]
        process.kill()  # while it has nothing to do: another takes its place
        process.join()
        assert pool.map([1]) != [number]


def test_a_process_that_cannot_prepare_says_why() -> None:
    with Processes(1, prepare, 0) as pool, pytest.raises(UserError, match=r"^model.*altered$"):
        pool.map([1])
