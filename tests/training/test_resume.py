"""A run that is hurt at any moment ends in the same model, bit for bit, with the same curves."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

import kochi

SCRIPT = Path(__file__).with_name("killing.py")


@pytest.mark.slow
def test_killed_runs_end_in_the_same_model(letters: Path, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)  # other moments each time; shown where it fails
    source = str(Path(kochi.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(letters), str(tmp_path / "out"), "1", str(seed)],
        env={**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=480,
    )
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    found = json.loads(done.stdout)
    print(seed, found)
    kills = 0
    for way in ("event", "write", "time", "disk", "fault", "damage"):
        for digest, count in found[way]:
            assert digest == found["uninterrupted"], f"hurt by {way}, seed {seed}"
            kills += count
    assert kills > 3, f"seed {seed}: hurt too seldom to tell"
