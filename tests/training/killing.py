"""Hurt small trainings and compare what they end in; run by test_resume.py in its own process.

    python killing.py DATA OUTPUT TRIALS SEED [WAY ...]

imports everything once and forks a child for each training, so that a kill costs little. Ways:

    event   die just before something is done to a file of the run
    write   die with a file half written
    time    die at any moment
    disk    no file may grow beyond a number of bytes: a disk that fills, in whatever is written
    fault   the n-th opening, renaming or syncing fails with ENOSPC, EACCES or EIO
    damage  die at any moment, and one bit of one file of the training is flipped

By default all are tried, each TRIALS times. After each the run is resumed until it ends. Prints, as
one JSON object, the digest of an uninterrupted model, for each way the digest and how often the
training was hurt, and what was refused in one line (where a refusal is right, such as damage to
both checkpoints). Curves must be those of the uninterrupted run. A traceback ends everything.
"""

import contextlib
import csv
import errno
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kochi.folder
from kochi import config
from kochi.errors import UserError
from kochi.training.progress import Progress
from kochi.training.run import train

FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}
MOST = 6  # times that one training is hurt
REFUSED = 2  # exit status of a child whose training ended in one line


def run_file(data: Path, output: Path) -> config.Run:
    """Everything that a checkpoint has to remember takes part: dropout, plateau, averages."""
    tokens = {"tokens": "whitespace"}
    text = {"kind": "tsv", "folder": str(data), "train": "train.tsv", "dev": "dev.tsv"}
    attention = {"score": "scaled_dot", "num_heads": 2}
    tree = {
        "seed": 7,
        "output": str(output),
        "data": {**text, "source": tokens, "target": tokens},
        "model": {
            "kind": "transformer",
            **dict.fromkeys(("size", "feedforward_size"), 16),
            **dict.fromkeys(("encoder_layers", "decoder_layers"), 1),
            **dict.fromkeys(("attention", "self_attention"), attention),
            "dropout": 0.2,
        },
        "training": {
            "epochs": 3,
            "batch_tokens": 200,
            "accumulate": 2,
            "learning_rate": 0.01,
            "schedule": {"kind": "plateau", "warmup_steps": 5, "patience": 1},
            "evaluate_every": 5,
            "checkpoint_every": 3,
            "metric": "wer",
            "average_last": 2,
            "average": "best",
        },
    }
    return config.check_run(tree, "killing.py")


def start(run: config.Run, prepare: Callable[[], None] = lambda: None) -> int:
    """Fork a child that trains, or goes on; return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        prepare()
        train(run, resume=True, progress=Progress(silent=True))
        os._exit(0)
    except UserError as error:
        with contextlib.suppress(OSError):  # the limit of `fill_disk` holds for the log, too
            print(error, file=sys.stderr)
        os._exit(REFUSED)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def finished(child: int, after: float | None = None) -> bool:
    """Wait for a child, or kill it after some seconds; say whether it came to its end."""
    deadline = None if after is None else time.monotonic() + after
    while deadline is None or time.monotonic() < deadline:
        done, status = os.waitpid(child, 0 if deadline is None else os.WNOHANG)
        if done:
            break
        time.sleep(0.002)
    else:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == REFUSED:
        return False
    if status:
        raise SystemExit(f"a training failed with status {status}")
    return True


def die_at_event(number: int, output: Path) -> Callable[[], None]:
    """Die just before the n-th thing that is done to a file of the run."""
    count = 0

    def hook(event: str, arguments: tuple) -> None:
        nonlocal count
        if event in FILE_EVENTS and str(arguments[0]).startswith(str(output)):
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    return lambda: sys.addaudithook(hook)


def die_in_write(number: int) -> Callable[[], None]:
    """Die with the n-th file half written."""
    count = 0

    def half(path: Path, content: bytes) -> None:
        nonlocal count
        count += 1
        if count == number:
            path.write_bytes(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, content)

    write = kochi.folder.write_through
    return lambda: setattr(kochi.folder, "write_through", half)


def fill_disk(most: int) -> Callable[[], None]:
    """Let no file grow beyond a number of bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def fail_at_event(number: int, code: int, output: Path) -> Callable[[], None]:
    """Fail at the n-th thing that is done to a file of the run, or at its syncing."""
    count = 0

    def fail(name: str) -> None:
        nonlocal count
        count += 1
        if count == number:
            raise OSError(code, os.strerror(code), name)

    def hook(event: str, arguments: tuple) -> None:
        if event in FILE_EVENTS and str(arguments[0]).startswith(str(output)):
            fail(str(arguments[0]))

    def sync(handle: int) -> None:
        fail("a file")
        os_sync(handle)

    os_sync = os.fsync

    def prepare() -> None:
        sys.addaudithook(hook)
        os.fsync = sync

    return prepare


def flip_a_bit(training: Path, chance: random.Random) -> str | None:
    """Flip one bit of one file that a resumed run may read; return the name of the file."""
    files = sorted(
        path
        for path in training.rglob("*")
        if path.is_file() and "tensorboard" not in path.parts and path.suffix != ".csv"
    )
    files = [path for path in files if path.stat().st_size]
    if not files:
        return None
    path = chance.choice(files)
    content = bytearray(path.read_bytes())
    place = chance.randrange(8 * len(content))
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)
    return path.name


def digest(output: Path) -> str:
    return hashlib.sha256((output / kochi.folder.WEIGHTS).read_bytes()).hexdigest()


def curves(output: Path) -> dict[str, list[list[str]]]:
    """Return the rows of all curves, without what a clock says."""
    found = {}
    for name in ("train", "evaluations", "examples"):
        with (output / "training" / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        found[name] = [[v for key, v in row.items() if key != "seconds"] for row in rows]
    return found


class Trial:
    """One training that is hurt until it ends.

    Args:
        run: The run.
        chance: What is drawn from.
        seconds: How long the training takes by itself.

    Attributes:
        hurt: How often it was.
    """

    def __init__(self, run: config.Run, chance: random.Random, seconds: float) -> None:
        self.run, self.chance, self.seconds = run, chance, seconds
        self.hurt = 0
        shutil.rmtree(run.output, ignore_errors=True)

    def __call__(self, way: str) -> None:
        while self.hurt < MOST:
            child, after = self._start(way)
            if finished(child, after):
                break
            self.hurt += 1
            if way == "damage":
                flip_a_bit(self.run.output / "training", self.chance)
        else:
            assert finished(start(self.run)), "refused without a reason"

    def _start(self, way: str) -> tuple[int, float | None]:
        run, chance, output = self.run, self.chance, self.run.output
        if way == "event":
            return start(run, die_at_event(chance.randint(1, 160), output)), None
        if way == "write":
            return start(run, die_in_write(chance.randint(1, 20))), None
        if way == "disk":
            return start(run, fill_disk(int(10 ** chance.uniform(2.5, 5.2)))), None
        if way == "fault":
            code = chance.choice((errno.ENOSPC, errno.EACCES, errno.EIO))
            return start(run, fail_at_event(chance.randint(1, 200), code, output)), None
        return start(run), chance.uniform(0.0, 0.7) * self.seconds


def main(data: Path, output: Path, trials: int, seed: int, ways: list[str]) -> None:
    run, chance = run_file(data, output), random.Random(seed)
    begin = time.monotonic()
    assert finished(start(run))
    whole, rows, seconds = digest(output), curves(output), time.monotonic() - begin
    results: dict[str, Any] = {"uninterrupted": whole, "seconds": seconds, "refused": []}
    for way in ways:
        results[way] = []
        for _ in range(trials):
            trial = Trial(run, chance, seconds)
            try:
                trial(way)
            except AssertionError:
                if way != "damage":
                    raise
                results["refused"].append(way)  # in one line, which `start` has printed
                continue
            assert curves(output) == rows, f"curves differ after {way}"
            results[way].append([digest(output), trial.hurt])
    print(json.dumps(results))


WAYS = ("event", "write", "time", "disk", "fault", "damage")

if __name__ == "__main__":
    _, _data, _output, _trials, _seed, *_ways = sys.argv
    main(Path(_data), Path(_output), int(_trials), int(_seed), _ways or list(WAYS))
