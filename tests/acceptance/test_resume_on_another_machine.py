"""A resumed run says where it may differ in the last bits from one that was never interrupted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kochi.training import machine
from tests.conftest import Result


def test_nothing_differs_here(resume: Callable[[], Result]) -> None:
    assert "warning" not in resume().err


def test_what_differs_is_named_in_one_line(
    project: Path, resume: Callable[[], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    monkeypatch.setattr(machine.platform, "python_version", lambda: "3.0.0")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    before = json.loads((project / "model" / "metrics.json").read_text())["machines"]
    result = resume()
    assert result.code == 0, result.err
    [line] = [line for line in result.err.splitlines() if "warning" in line]
    [here] = before
    for part in (
        f"python {here['python']} -> 3.0.0",
        f"CPU capability {here['cpu']} -> DEFAULT",
        f"threads {here['threads']} -> 7",
    ):
        assert part in line
    assert "torch" not in line
    now = json.loads((project / "model" / "metrics.json").read_text())["machines"]
    assert now == [here, {**here, "python": "3.0.0", "cpu": "DEFAULT", "threads": 7}]


def test_the_record_names_nobody(project: Path) -> None:
    machines = json.loads((project / "model" / "metrics.json").read_text())["machines"]
    assert machines[0].keys() == {
        *("kochi", "torch", "python", "system", "architecture"),
        *("cpu", "threads", "processes", "device"),
    }
