"""Kill small trainings and compare what they end in; run by test_resume.py in a process of its own.

    python killing.py DATA OUTPUT TRIALS SEED

imports everything once and forks a child for each training, so that a kill costs little. Prints, as
one JSON object, the digest of an uninterrupted model and, for each way of killing, the digest and
how many kills it took.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import kochi.folder
from kochi import config
from kochi.training.progress import Progress
from kochi.training.run import train

FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


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


def digest(output: Path) -> str:
    return hashlib.sha256((output / kochi.folder.WEIGHTS).read_bytes()).hexdigest()


def main(data: Path, output: Path, trials: int, seed: int) -> None:
    run, chance = run_file(data, output), random.Random(seed)
    begin = time.monotonic()
    assert finished(start(run))
    whole, seconds = digest(output), time.monotonic() - begin
    results = {"uninterrupted": whole, "seconds": seconds, "event": [], "write": [], "time": []}
    for way, count in [("event", trials), ("write", trials), ("time", trials)]:
        for _ in range(count):
            shutil.rmtree(output)
            kills = 0
            while kills < 6:
                if way == "event":
                    child = start(run, die_at_event(chance.randint(1, 110), output))
                elif way == "write":
                    child = start(run, die_in_write(chance.randint(1, 12)))
                else:
                    child = start(run)
                if finished(child, chance.uniform(0.0, 0.7) * seconds if way == "time" else None):
                    break
                kills += 1
            else:
                assert finished(start(run))
            results[way].append([digest(output), kills])
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
