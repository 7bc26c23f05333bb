"""Every mechanism under `torch.compile`: the values and gradients of eager mode."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kochi.attention import RELATIVES, SCOPES, SCORES, SELECTIONS

SCRIPT = Path(__file__).with_name("compiling.py")


@pytest.mark.slow
def test_every_mechanism_equals_eager_mode() -> None:
    run = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    results: dict[str, str | None] = json.loads(run.stdout)
    assert [f"{name}: {error}" for name, error in results.items() if error] == []
    compiled = {word for name in results for word in name.split("-")}
    assert {*RELATIVES, *SCOPES, *SCORES, *SELECTIONS, "aot_eager", "inductor"} <= compiled
