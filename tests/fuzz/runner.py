"""Run cases in a process of their own, so that whatever happens there is noticed and survived.

A process runs one case after the other within itself, as importing torch takes longer than hundreds
of cases. A case that crashes it or takes too long ends it; another process goes on.
"""

import contextlib
import faulthandler
import gc
import io
import json
import os
import re
import resource
import shlex
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from typer.main import get_command

from kochi import cli
from tests.fuzz.case import Case, Kind, Outcome, fault
from tests.fuzz.mutate import place_traps

SECONDS = 30.0  # that a case may take; most take a hundredth of one
MEMORY = 2 << 30  # bytes that a case may take
SHOWN = 3  # lines of standard error in a report
BETWEEN_COLLECTIONS = 100  # cases
HUNG = 86  # exit status of a process whose case took too long, see `_watch`


@dataclass(frozen=True)
class Fault:
    """What went wrong in a case.

    Attributes:
        kind: Its kind.
        number: Its number.
        what: What was seen.
        command: The command.
        err: The end of what it wrote to standard error.
        saved: Where its files are.
    """

    kind: str
    number: int
    what: str
    command: str
    err: str
    saved: str

    def __str__(self) -> str:
        return "\n    ".join([f"$ kochi {self.command}", *self.err.splitlines(), self.saved])

    @property
    def cause(self) -> str:
        """What cases of the same cause have in common, as far as can be seen."""
        lines = self.err.splitlines()
        last = lines[-1:] if "Traceback" in self.what else lines if "no end" in self.what else []
        return re.sub(r"\d+|'[^']*'", "*", " ".join([self.what, *last]))


def by_cause(faults: Sequence[Fault]) -> str:
    """Return the faults for people to read, those of one cause together."""
    causes: dict[str, list[Fault]] = {}
    for one in faults:
        causes.setdefault(one.cause, []).append(one)
    lines = []
    for cause, same in sorted(causes.items(), key=lambda item: -len(item[1])):
        numbers = " ".join(str(fault.number) for fault in same)
        lines += [
            f"{same[0].kind}, {len(same)} cases, {cause}",
            f"  cases {numbers}",
            f"  {same[0]}",
        ]
    return "\n".join(lines)


@dataclass
class Report:
    """What became of the cases of one kind.

    Attributes:
        codes: How many cases ended with each exit code; a case that ended its process has none.
        faults: What went wrong.
        seconds: How long all took.
    """

    codes: Counter[int] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    seconds: float = 0.0


def run(
    name: str, kind: Kind, numbers: Sequence[int], seed: int, seeds: Path, saved: Path
) -> Report:
    """Run cases of one kind.

    Args:
        name: Of the kind.
        kind: The kind.
        numbers: Of the cases.
        seed: Governs everything that is drawn.
        seeds: Where valid files and trained models are, or will be put.
        saved: Where the files of cases that fail are put.
    """
    begin, report, left = time.monotonic(), Report(), list(numbers)
    work = saved / f"running-{name}-{os.getpid()}"
    messages = _Child(lambda send: _make_seeds(kind, seeds, work))
    if list(messages) or messages.status:
        raise RuntimeError(f"the seeds of {name} cannot be made:\n{_tail(work, 20)}")
    while left:
        messages = _Child(lambda send: _run_cases(name, kind, left, seed, seeds, work, send))
        for message in messages:
            left.pop(0)
            report.codes[message["code"]] += 1
            if message["what"] is not None:
                report.faults.append(_keep(work, saved, name, message["number"], message["what"]))
            messages.reply()
        if left:  # the process has ended at the first one that is left
            what = _ended(messages.status)
            report.faults.append(_keep(work, saved, name, left.pop(0), what))
    shutil.rmtree(work, ignore_errors=True)
    report.seconds = time.monotonic() - begin
    return report


def _ended(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    code = os.WEXITSTATUS(status)
    return f"no end after {SECONDS:g} s" if code == HUNG else f"the process ended with code {code}"


def _keep(work: Path, saved: Path, name: str, number: int, what: str) -> Fault:
    """Put the files of a case aside."""
    place = saved / f"{name}-{number}"
    shutil.rmtree(place, ignore_errors=True)
    command = (work / "command").read_text("utf-8", "replace")
    err = _tail(work, SHOWN)
    os.replace(work, place)
    return Fault(name, number, what, command, err, str(place))


def _tail(work: Path, lines: int) -> str:
    text = (work / "stderr").read_bytes()[-20_000:].decode("utf-8", "replace")
    _, dumped, frames = text.partition("in _watch\n")
    found = frames.splitlines()[:lines] if dumped else text.splitlines()[-lines:]
    return "\n".join(ascii(line)[1:-1] for line in found)


class _Child:
    """A forked process that sends messages and waits for a reply to each; iterate over them.

    Attributes:
        status: How it ended, as `os.waitpid` says; 0 until then.
    """

    def __init__(self, work: Callable[[Callable[[Any], None]], object]) -> None:
        self.status = 0
        reading, sending = os.pipe()
        waiting, replying = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.setsid()
            gc.freeze()  # what was imported is not walked through again and again
            os.fsync = lambda fd: None  # nothing has to outlive the machine
            code = 1
            try:
                os.close(reading)
                os.close(replying)

                def send(message: Any) -> None:
                    os.write(sending, json.dumps(message).encode() + b"\n")
                    if not os.read(waiting, 1):
                        os._exit(1)  # nobody listens any more

                work(send)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                with contextlib.suppress(OSError, ValueError):
                    sys.stderr.flush()
                os._exit(code)
        os.close(sending)
        os.close(waiting)
        self._messages, self._replying = os.fdopen(reading), replying

    def reply(self) -> None:
        """Let the process go on."""
        os.write(self._replying, b".")

    def __iter__(self) -> Iterator[Any]:
        with self._messages:
            yield from map(json.loads, self._messages)
        _, self.status = os.waitpid(self._process, 0)
        os.close(self._replying)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process, signal.SIGKILL)  # what it may have started


# ------------------------------------------------------------------------------- in the child


def _make_seeds(kind: Kind, seeds: Path, work: Path) -> None:
    """Make the valid files that are not there yet."""
    work.mkdir(parents=True, exist_ok=True)
    _redirect(work, b"")
    for name, make in kind.seeds.items():
        folder, done = seeds / name, seeds / f"{name}.done"
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            make(folder)
            done.touch()


def _run_cases(
    name: str,
    kind: Kind,
    numbers: Sequence[int],
    seed: int,
    seeds: Path,
    work: Path,
    send: Callable[[Any], None],
) -> None:
    cli.app = get_command(cli.app)  # pyright: ignore[reportAttributeAccessIssue]  # only once
    for count, number in enumerate(list(numbers), 1):
        shutil.rmtree(work, ignore_errors=True)
        folder = work / "of" / "the" / "case"  # deep: ../../.. stays within
        folder.mkdir(parents=True)
        os.chdir(folder)
        place_traps(folder)
        (work / "command").touch()
        _redirect(work, b"")  # a fault of the fuzzer, too, is to be read there
        case = kind.make(Random(f"{seed}-{name}-{number}"), seeds, folder)
        (work / "command").write_text(shlex.join(case.arguments), "utf-8", "backslashreplace")
        outcome, peak = _call(case, work, folder)
        what = fault(case, outcome)
        if what is None and peak > MEMORY:
            what = f"took {peak / (1 << 20):,.0f} MiB"
        send({"number": number, "code": outcome.code, "what": what})
        if count % BETWEEN_COLLECTIONS == 0:
            gc.collect()


def _call(case: Case, work: Path, folder: Path) -> tuple[Outcome, int]:
    """Run the command in this process; return what it left, and the memory that it took."""
    _redirect(work, case.stdin)
    before = _limit_memory()
    faulthandler.dump_traceback_later(SECONDS + 10, exit=True)
    signal.signal(signal.SIGALRM, _watch)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with warnings.catch_warnings():  # each case has its own warnings
            code = cli.main(case.arguments)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    peak = _memory("VmHWM") - before
    out, err = ((work / name).read_text("utf-8", "replace") for name in ("stdout", "stderr"))
    return Outcome(code, out, err, folder), peak


def _redirect(work: Path, stdin: bytes) -> None:
    """Take standard streams from files and to files, for C libraries, too."""
    (work / "stdin").write_bytes(stdin)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(work / name, flags)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = io.TextIOWrapper(os.fdopen(0, "rb", closefd=False), "utf-8")
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), "utf-8")
    sys.stderr = io.TextIOWrapper(
        os.fdopen(2, "wb", closefd=False), "utf-8", "backslashreplace", line_buffering=True
    )


def _watch(*_: object) -> None:
    """End the process; where no handler can run, `faulthandler` ends it later."""
    faulthandler.dump_traceback()
    os._exit(HUNG)


def _limit_memory() -> int:
    """Let the process have `MEMORY` more addresses than now; return the memory it has in use."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # begin a new peak
    most = _memory("VmSize") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    return _memory("VmRSS")


def _memory(name: str) -> int:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))
