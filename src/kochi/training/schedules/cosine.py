"""Cosine annealing."""

import math
from typing import Annotated

from pydantic import Field
from typing_extensions import override

from kochi.training.schedules.base import Course, Schedule, WarmupSteps


def cosine(step: int, warmup_steps: int, total_steps: int, final_fraction: float = 0.0) -> float:
    """Rise linearly, then fall along half a cosine to ``final_fraction`` at the last step.

    Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", equation 5,
    https://arxiv.org/abs/1608.03983, without restarts.

    Args:
        step: The optimizer step, from 1.
        warmup_steps: The step at which the peak is reached; 0 for no warm-up.
        total_steps: Number of steps of the whole run.
        final_fraction: Fraction of the peak at the last step.

    >>> [round(cosine(step, 2, 10), 3) for step in (1, 2, 6, 10)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if step < warmup_steps:
        return step / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(total_steps - warmup_steps, 1))
    return final_fraction + (1.0 - final_fraction) * 0.5 * (1.0 + math.cos(math.pi * progress))


class Cosine(Schedule):
    """Rise linearly, then fall along half a cosine; see `cosine`.

    Args:
        warmup_steps: Steps until the peak; 0 for no warm-up.
        final_fraction: Fraction of the peak at the last step.
    """

    def __init__(
        self,
        *,
        warmup_steps: WarmupSteps = 1000,
        final_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0,
    ) -> None:
        self.warmup_steps, self.final_fraction = warmup_steps, final_fraction

    @override
    def share(self, course: Course) -> float:
        return cosine(course.step, self.warmup_steps, course.total_steps, self.final_fraction)
