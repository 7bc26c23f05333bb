"""How fast this machine is, and how many training steps fit into the time there is."""

import json
import statistics
from collections.abc import Iterable
from pathlib import Path

from kochi.folder import write_atomic
from kochi.studies import models
from kochi.studies.study import Study
from kochi.studies.timed import StepCost

# Milliseconds that the yardstick took on the machine on which the studies' minutes were measured.
YARDSTICK_MS = 14.0
SHARES = (1.0, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1)  # of the steps; few, so that cells are found again


def slowness() -> float:
    """Measure how many times as long as on that machine a training step takes here, on one core."""
    cell = StepCost(models.luong(64, input_feeding=False), 32, 16, 1)
    return statistics.median(ms for _ in range(4) for ms in cell.time()) / YARDSTICK_MS


def needed_minutes(studies: Iterable[Study], jobs: int, slow: float = 1.0) -> float:
    """Return how long one seed of some studies takes, with all their training steps."""
    listed = list(studies)
    training = sum(study.training_minutes for study in listed)
    timing = sum(study.timing_minutes for study in listed)
    return slow * (training / jobs + timing)


def share_of_steps(needed: float, minutes: float) -> float:
    """Choose the share of the steps with which one seed fits.

    >>> share_of_steps(20.0, 30.0), share_of_steps(60.0, 30.0), share_of_steps(1e6, 30.0)
    (1.0, 0.5, 0.1)
    """
    fitting = [share for share in SHARES if share * needed <= minutes]
    return fitting[0] if fitting else SHARES[-1]


def choose_share(out: Path, studies: Iterable[Study], jobs: int, minutes: float) -> float:
    """Return the share that was chosen for this folder before, else choose it and note it there."""
    file = out / "pace.json"
    try:
        return float(json.loads(file.read_bytes())["share_of_steps"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    slow = slowness()
    share = share_of_steps(needed_minutes(studies, jobs, slow), minutes)
    out.mkdir(parents=True, exist_ok=True)
    record = {"share_of_steps": share, "slowness": round(slow, 3)}
    write_atomic(file, (json.dumps(record) + "\n").encode())
    return share
