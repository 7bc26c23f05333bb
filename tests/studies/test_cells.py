"""Cells are measured once, kept whole, and found again."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kochi.studies.cells import Budget, Cell, Pace, Store, digest, measure_all
from kochi.studies.timed import TimedRound


@dataclass(frozen=True)
class Counted(Cell):
    """Write down that it was measured."""

    number: int
    seconds: float = 0.0
    alone: bool = False

    def key(self) -> dict[str, Any]:
        return {"number": self.number}

    def measure(self, folder: Path) -> dict[str, Any]:
        folder.mkdir(parents=True, exist_ok=True)
        time.sleep(self.seconds)
        with (folder / "measured").open("a") as file:
            file.write(f"{self.number}\n")
        return {"square": self.number**2}


@dataclass(frozen=True)
class Process(Counted):
    """Tell which process it was measured in."""

    def measure(self, folder: Path) -> dict[str, Any]:
        return {"process": os.getpid()}


def no_limit():
    return Budget(None, time.monotonic())


def run(cells, folder, jobs=1, budget=None):
    said = []
    named = {str(cell.number): cell for cell in cells}
    measure_all(named, Store(folder), jobs, budget or no_limit(), said.append)
    return said


def measured(folder):
    file = folder / "measured"
    return sorted(map(int, file.read_text().split())) if file.exists() else []


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_each_cell_is_measured_once(tmp_path, jobs):
    cells = [Counted(number) for number in range(4)]
    run(cells[:2], tmp_path, jobs)
    said = run(cells, tmp_path, jobs)
    assert measured(tmp_path) == [0, 1, 2, 3]
    assert len(said) == 2
    assert [Store(tmp_path).find(cell) for cell in cells] == [{"square": n**2} for n in range(4)]


def test_another_key_is_another_cell(tmp_path):
    assert Store(tmp_path).find(Counted(1)) is None
    Store(tmp_path).measure(Counted(1))
    assert Store(tmp_path).find(Counted(2)) is None
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


@pytest.mark.parametrize("content", [b"", b'{"key": {}', b"[]", b"\xff"])
def test_a_damaged_result_is_measured_again(tmp_path, content):
    store = Store(tmp_path)
    store.measure(Counted(3))
    [file] = (tmp_path / "cells").iterdir()
    file.write_bytes(content)
    assert store.find(Counted(3)) is None
    assert store.measure(Counted(3)) == {"square": 9}


def test_nothing_is_begun_that_would_not_be_done_in_time(tmp_path):
    cells = [Counted(number, seconds=0.3) for number in range(4)]
    said = run(cells, tmp_path, budget=Budget(0.8, time.monotonic()))
    assert measured(tmp_path) == [0, 1]
    assert said[2:] == ["left out for lack of time: 2", "left out for lack of time: 3"]
    assert run(cells, tmp_path)[-1].startswith("3 ")
    assert measured(tmp_path) == [0, 1, 2, 3]


def test_each_measurement_of_time_has_a_process_of_its_own(tmp_path):
    cells = [Process(number, alone=True) for number in range(2)]
    run([*cells, Process(2)], tmp_path)
    found = [Store(tmp_path).find(cell) for cell in (*cells, Process(2))]
    processes = {one["process"] for one in found if one}
    assert len(processes) == 3 and os.getpid() in processes


def test_rounds_of_time_run_alone():
    assert TimedRound.alone


@pytest.mark.slow
def test_time_is_measured_alone_and_last(tmp_path):
    cells = [Counted(0, alone=True), Counted(1), Counted(2)]
    run(cells, tmp_path, jobs=2)
    assert (tmp_path / "measured").read_text().split()[-1] == "0"


@dataclass(frozen=True)
class Following(Counted):
    """Take up what another cell left."""

    first: Counted | None = None

    @property
    def after(self) -> tuple[Cell, ...]:
        return () if self.first is None else (self.first,)


@pytest.mark.parametrize("jobs", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_what_takes_up_another_cell_waits_for_it(tmp_path, jobs):
    first = Counted(1, seconds=0.5)
    run([first, Following(2, first=first), Counted(3)], tmp_path, jobs)
    order = (tmp_path / "measured").read_text().split()
    assert sorted(order) == ["1", "2", "3"]
    assert order.index("1") < order.index("2")


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_takes_up_a_cell_that_is_left_out_is_left_out(tmp_path, jobs):
    first = Counted(1)
    said = run([first, Following(2, first=first)], tmp_path, jobs, Budget(0.0, time.monotonic()))
    assert said == ["left out for lack of time: 1", "left out for lack of time: 2"]


@dataclass(frozen=True)
class Long(Counted):
    @property
    def kin(self) -> str:
        return "long" if self.seconds else "short"


def test_a_cell_is_expected_to_take_as_long_as_its_kin(tmp_path):
    pace = Pace(Store(tmp_path))
    assert pace.expect(Long(1)) == 0.0
    pace.note(Long(1, seconds=1.0), 9.0)
    assert pace.expect(Long(2, seconds=1.0)) == 9.0
    assert pace.expect(Long(3)) == 9.0  # nothing is known of short ones
    pace.note(Long(3), 2.0)
    assert pace.expect(Long(4)) == 2.0
    assert pace.expect(Counted(5)) == 0.0


def test_how_long_a_cell_took_is_kept(tmp_path):
    cell = Long(1, seconds=0.3)
    run([cell], tmp_path)
    pace = Pace(Store(tmp_path))
    pace.note(cell)
    assert 0.2 <= pace.expect(Long(2, seconds=0.3)) <= 5.0


def test_time_is_reserved_for_the_reports():
    assert Budget(10.0, time.monotonic()).allows(9.0)
    assert not Budget(10.0, time.monotonic(), reserve=2.0).allows(9.0)


STUDY = ["study", "sparse", "--size", "8", "--seeds", "1", "--jobs", "1", "--out", "found"]
SHORT = [
    "--data",
    "run.toml",
    "--set",
    "training.max_steps=60",
    "--set",
    "training.checkpoint_every=5",
]


@pytest.mark.slow
def test_a_killed_study_goes_on(task, tmp_path):
    """Killed in the middle of a training, it ends with the same table, and no cell is lost."""
    command = [sys.executable, "-m", "kochi", *STUDY, *SHORT]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("found/cells/*.json")):
        assert process.poll() is None
        time.sleep(0.05)
    while not list(tmp_path.glob("found/models/*/training/last.ckpt")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {file.name: file.read_bytes() for file in tmp_path.glob("found/cells/*.json")}
    assert before
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name, content in before.items():
        assert (tmp_path / "found" / "cells" / name).read_bytes() == content
    assert "softmax" in (tmp_path / "found" / "sparse" / "table.csv").read_text()
