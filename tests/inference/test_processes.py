"""Batches in processes of their own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from kochi.errors import UserError
from kochi.inference.processes import Processes


def prepare(factor):
    def work(batch):
        if isinstance(batch, Path):
            return meet(batch)
        if batch == "die":
            os._exit(3)
        if batch == "fail":
            raise ValueError("wrong batch")
        return factor * batch, os.getpid(), torch.get_num_threads(), torch.ones(2)

    return work


def meet(folder):
    """Wait until another process stands here, too; say how many there are."""
    (folder / str(os.getpid())).touch()
    for _ in range(600):
        if len(list(folder.iterdir())) > 1:
            break
        time.sleep(0.1)
    return len(list(folder.iterdir()))


@pytest.fixture(scope="module")
def processes():
    with Processes(2, prepare, 10) as pool:
        yield pool


def test_results_stand_in_the_order_of_the_batches(processes):
    found = processes.map(list(range(7)))
    assert [value for value, *_ in found] == [0, 10, 20, 30, 40, 50, 60]
    assert processes.map([]) == []


def test_two_batches_are_computed_at_once(processes, tmp_path):
    assert processes.map([tmp_path, tmp_path]) == [2, 2]


def test_each_is_another_process_with_one_core(processes):
    found = processes.map(list(range(20)))
    assert os.getpid() not in {process for _, process, _, _ in found}
    assert {threads for _, _, threads, _ in found} == {1}


def test_an_error_comes_out_and_the_processes_go_on(processes):
    with pytest.raises(ValueError, match="wrong batch"):
        processes.map([1, "fail", 2])
    assert processes.map([1])[0][0] == 10


def test_a_process_that_dies_is_told():
    said = "before its time: exit code 3"
    with Processes(1, prepare, 10) as pool, pytest.raises(UserError, match=said):
        pool.map([1, "die"])


def test_there_must_be_one():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Processes(0, prepare, 10)


SCRIPT = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from test_processes import prepare
from kochi.inference.processes import Processes

if __name__ == "__main__":
    print(Processes(1, prepare, 10).map([1])[0][1], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_they_end_with_the_process_that_began_them(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    here = str(Path(__file__).parent)
    shown = subprocess.run([sys.executable, script, here], capture_output=True, text=True)
    worker = Path("/proc") / shown.stdout.strip()
    for _ in range(200):
        if not worker.exists():
            return
        time.sleep(0.1)
    pytest.fail("the process still runs")
