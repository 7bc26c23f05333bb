"""Two trainings do not share a folder, and one that died is not in the way."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import kochi
from tests.acceptance.conftest import train_steps


def test_the_second_is_refused_until_the_first_has_died(task: Path) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from kochi.training.prepare import alone_in\n"
        "with alone_in(Path(sys.argv[1])):\n"
        "    print('at work', flush=True)\n"
        "    time.sleep(600)\n"
    )
    output = task.parent / "model"
    first = subprocess.Popen(
        [sys.executable, "-c", program, str(output)],
        env={**os.environ, "PYTHONPATH": str(Path(kochi.__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "at work\n"
    for options in ((), ("--resume",), ("--overwrite",)):
        result = train_steps(task, 2, *options)
        assert result.code == 2
        assert result.err.count("\n") == 1
        assert "another training run is using this folder" in result.err
    assert list(output.iterdir()) == []
    first.send_signal(signal.SIGKILL)
    first.communicate()
    time.sleep(0.01)
    assert train_steps(task, 2).code == 0
