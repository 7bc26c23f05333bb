"""The speed of this machine, and the studies that can be decided within a time limit."""

import statistics
from collections.abc import Iterable
from pathlib import Path

from kochi.studies import models, trained
from kochi.studies.estimates import FEWEST
from kochi.studies.study import Study
from kochi.studies.timed import Step, TimedRound

# Milliseconds of the benchmark on the machine on which the studies' minutes were measured.
YARDSTICK_MS = 14.0


def slowness() -> float:
    """Measure the duration of a training step on one core, relative to that machine."""
    step = Step(models.luong(64, input_feeding=False), 32, 16)
    rounds = (TimedRound((("yardstick", step),), number) for number in range(3))
    taken = [one.measure(Path())["yardstick"]["milliseconds"] for one in rounds]
    return statistics.median(taken) / YARDSTICK_MS


def needed_minutes(study: Study, jobs: int, slow: float = 1.0) -> float:
    """Return the minutes that a study needs for as many draws as a verdict requires."""
    trainings = study.training_minutes * (len(trained.GRID) + FEWEST) / jobs
    return slow * (trainings + study.timing_minutes * FEWEST)


def affordable(
    studies: Iterable[Study], jobs: int, minutes: float, slow: float = 1.0
) -> dict[Study, float]:
    """Choose the studies that can be decided within the minutes, the quickest first.

    Returns:
        The minutes that each of them needs.
    """
    needed = {study: needed_minutes(study, jobs, slow) for study in studies}
    chosen: dict[Study, float] = {}
    for study in sorted(needed, key=lambda one: needed[one]):
        if sum(chosen.values()) + needed[study] <= minutes:
            chosen[study] = needed[study]
    return chosen
