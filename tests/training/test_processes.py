import csv
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from kochi import config
from kochi.errors import UserError
from kochi.training import processes
from kochi.training.layout import Layout
from kochi.training.progress import Progress
from kochi.training.run import train

pytestmark = pytest.mark.usefixtures("shapes_unchecked")  # they double the time

MakeRun = Callable[..., config.Run]
SILENT = Progress(silent=True)


class Killer(Progress):
    """Kill the other process at the n-th step."""

    def __init__(self, step: int) -> None:
        super().__init__(silent=True)
        self.steps_left = step

    def is_due(self) -> bool:
        self.steps_left -= 1
        if self.steps_left == 0:
            for child in psutil.Process(os.getpid()).children():
                child.kill()
        return False


def _rows(run: config.Run, name: str) -> list[dict[str, str]]:
    with (run.output / "training" / name).open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_two_processes_give_the_curve_of_one(make_run: MakeRun) -> None:
    options: dict[str, Any] = {
        "model": {"dropout": 0.0},
        "accumulate": 2,
        "epochs": 9,
        "max_steps": 10,
        "evaluate_every": 5,
        "metric": "per",
    }
    one, two = (make_run(f"by{count}", devices=count, **options) for count in (1, 2))
    for run in (one, two):
        train(run, progress=SILENT, log_every=1)
    curves = [_rows(run, "train.csv") for run in (one, two)]
    assert len(curves[0]) == len(curves[1]) == 10
    for first, second in zip(*curves, strict=True):
        assert first["tokens"] == second["tokens"]
        for name in ("loss", "nll", "gradient_norm"):
            assert float(second[name]) == pytest.approx(float(first[name]), rel=1e-5)
    for first, second in zip(*(_rows(run, "evaluations.csv") for run in (one, two)), strict=True):
        assert float(second["loss"]) == pytest.approx(float(first["loss"]), rel=1e-5)
        assert second["metric"] == first["metric"]


@pytest.mark.slow
def test_a_process_that_dies_ends_the_run_and_one_goes_on_alone(make_run: MakeRun) -> None:
    options: dict[str, Any] = {"model": {"dropout": 0.0}, "checkpoint_every": 2}
    with pytest.raises(
        UserError, match=r"process 1 of 2 ended early: killed by signal 9.*--resume"
    ):
        train(make_run(devices=2, **options), progress=Killer(step=5))
    train(make_run(devices=1, **options), resume=True, progress=SILENT, log_every=1)
    train(make_run("whole", **options), progress=SILENT, log_every=1)
    first, second = (_rows(make_run(name), "train.csv")[-1] for name in ("out", "whole"))
    assert first["step"] == second["step"]
    assert float(first["loss"]) == pytest.approx(float(second["loss"]), rel=1e-4)


def test_a_process_that_fails_at_once_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    layout.training.mkdir()
    program = tmp_path / "broken"
    program.write_text("#!/bin/sh\necho no good\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with processes.Workers(layout, 2) as workers, pytest.raises(UserError, match="early: no good"):
        workers.wait_until_ready()


def test_alone_nothing_is_started(tmp_path: Path) -> None:
    with processes.Workers(Layout(tmp_path), 1) as workers:
        workers.wait_until_ready()
    assert list(tmp_path.iterdir()) == []
