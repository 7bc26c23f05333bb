"""Whatever file is given to the command: an answer, or a line that says what is wrong with it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.registry import KINDS

FEW, MANY = 60, 2_000  # of all kinds; `make fuzz` runs more
ROOT = Path(__file__).parents[2]
# One process each, which takes seconds to start: kinds that begin with the same models together.
GROUPS = (
    ("run_files", "tables", "lines", "training_folders"),
    ("models", "arrays", "manifests", "sound", "pictures"),
)


@pytest.mark.parametrize("total", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kinds", GROUPS, ids="-".join)
def test_hostile_files_are_answered_or_refused(kinds: tuple[str, ...], total: int):
    named = [part for kind in kinds for part in ("--kind", kind)]
    command = [sys.executable, "-m", "tests.fuzz", "--total", str(total), *named]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, f"{found.stdout}\n{found.stderr}"


def test_every_kind_is_run():
    assert sorted(kind for group in GROUPS for kind in group) == sorted(KINDS)
