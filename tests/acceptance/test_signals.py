"""Signals, closed streams and a folder that goes away in mid-training: state saved, one line."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import kochi

LONG = ("epochs=100000", "checkpoint_every=5", "evaluate_every=0", "schedule.kind=constant")


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Begin trainings, with the signals of a terminal; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(run_file: Path, *options: str, **streams: object) -> "subprocess.Popen[str]":
        sets = [word for change in LONG for word in ("--set", f"training.{change}")]
        source = str(Path(kochi.__file__).parents[1])
        process = subprocess.Popen(
            [sys.executable, "-m", "kochi", "train", str(run_file), *sets, *options],
            env={**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"},
            text=True,
            **{  # pyright: ignore
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "preexec_fn": _heed_signals,
                **streams,
            },
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def _heed_signals() -> None:
    """Undo what nohup and background jobs of a shell set, under which the tests may run."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def _wait(run_file: Path) -> None:
    """Wait until the steps are under way."""
    deadline = time.monotonic() + 60
    while not (run_file.parent / "model" / "training" / "previous.ckpt").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _end(process: "subprocess.Popen[str]") -> list[str]:
    """Wait for the end and return what was written to the error stream."""
    err = process.communicate(timeout=60)[1]
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    return err.splitlines()


def test_a_closed_terminal_saves(start: Start, task: Path) -> None:
    process = start(task)
    _wait(task)
    process.send_signal(signal.SIGHUP)
    lines = _end(process)
    assert process.returncode == 130
    assert lines[-1].startswith("kochi: stopped after step")
    assert "--resume" in lines[-1]


@pytest.mark.slow
def test_nohup_is_respected(start: Start, task: Path) -> None:
    process = start(task, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    _wait(task)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert _end(process)[-1].startswith("kochi: stopped after step")


def test_three_times_ctrl_c_is_one_line(start: Start, task: Path) -> None:
    process = start(task)
    _wait(task)
    for _ in range(6):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    lines = _end(process)
    assert process.returncode == 130
    assert [line for line in lines if line.startswith("kochi: stopped")] == lines[-1:]


@pytest.mark.parametrize(
    "streams", [pytest.param((1,), marks=pytest.mark.slow), (0, 1, 2)], ids=str
)
def test_closed_streams(start: Start, task: Path, streams: tuple[int, ...]) -> None:
    def close() -> None:
        for number in streams:
            os.close(number)

    process = start(task, "--set", "training.max_steps=3", preexec_fn=close)
    _end(process)
    assert process.returncode == 0
    assert (task.parent / "model" / "manifest.json").exists()


def test_predictions_for_a_closed_stdout_are_not_lost_without_a_word(half_trained: Path) -> None:
    source = str(Path(kochi.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "kochi", "predict", str(half_trained / "model")],
        env={**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"},
        input="abc\n",
        stderr=subprocess.PIPE,
        preexec_fn=lambda: os.close(1),
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "standard input or output is closed" in done.stderr


def test_the_folder_is_renamed(start: Start, task: Path) -> None:
    process = start(task)
    _wait(task)
    os.rename(task.parent / "model", task.parent / "elsewhere")
    lines = _end(process)
    assert process.returncode == 2
    assert "the folder of this run is gone" in lines[-1]
    assert not (task.parent / "model").exists()


@pytest.mark.slow
def test_rows_of_the_curves_survive_a_kill(
    start: Start, task: Path, kochi: Callable[..., object]
) -> None:
    settings = ["--set", "training.examples=1", "--set", "training.evaluate_every=4"]
    process = start(task, *settings)
    _wait(task)
    process.kill()
    process.communicate()
    training = task.parent / "model" / "training"
    for name in ("train.csv", "evaluations.csv", "examples.csv"):
        with (training / name).open("a") as file:
            file.write('1000000,1,"half a ro')  # and a last row cut anywhere
    import torch

    with (training / "last.ckpt").open("rb") as file:
        step = torch.load(file, weights_only=True)["kochi"]["step"]
    process = start(task, *settings, "--resume", "--set", f"training.max_steps={step + 21}")
    _end(process)
    assert process.returncode == 0
    last = step + 21
    for name, expected in (
        ("train.csv", [*range(10, last + 1, 10), *([last] if last % 10 else [])]),
        ("evaluations.csv", [*range(4, last + 1, 4), *([last] if last % 4 else [])]),
        ("examples.csv", [*range(4, last + 1, 4), *([last] if last % 4 else [])]),
    ):
        with (training / name).open() as file:
            assert [int(row["step"]) for row in csv.DictReader(file)] == expected, name
