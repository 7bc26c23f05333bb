"""Linear warm-up, then the peak."""

from typing_extensions import override

from kochi.training.schedules.base import Course, Schedule, WarmupSteps


def constant(step: int, warmup_steps: int) -> float:
    """Return ``min(1, step / warmup_steps)``.

    Args:
        step: The optimizer step, from 1.
        warmup_steps: The step at which the peak is reached; 0 for no warm-up.

    >>> [constant(step, 4) for step in (1, 2, 4, 100)]
    [0.25, 0.5, 1.0, 1.0]
    """
    return min(1.0, step / max(warmup_steps, 1))


class Constant(Schedule):
    """Rise linearly to the peak, and stay there.

    Args:
        warmup_steps: Steps until the peak; 0 for no warm-up.
    """

    def __init__(self, *, warmup_steps: WarmupSteps = 1000) -> None:
        self.warmup_steps = warmup_steps

    @override
    def share(self, course: Course) -> float:
        return constant(course.step, self.warmup_steps)
