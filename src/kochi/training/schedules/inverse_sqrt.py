"""The Transformer's schedule."""

from typing_extensions import override

from kochi.training.schedules.base import Course, Schedule, WarmupSteps


def inverse_sqrt(step: int, warmup_steps: int) -> float:
    """Rise linearly, then fall with the inverse square root of the step.

    Vaswani et al. 2017, "Attention is all you need", equation 3, https://arxiv.org/abs/1706.03762:
    ``min(step ** -0.5, step * warmup_steps ** -1.5)``. We multiply by ``warmup_steps ** 0.5``, so
    that the peak is 1, instead of the paper's ``model_size ** -0.5``.

    Args:
        step: The optimizer step, from 1.
        warmup_steps: The step at which the peak is reached; 0 counts as 1.

    >>> [inverse_sqrt(step, 4) for step in (1, 4, 16)]
    [0.25, 1.0, 0.5]
    """
    warmup_steps = max(warmup_steps, 1)
    return min(step / warmup_steps, (warmup_steps / step) ** 0.5)


class InverseSqrt(Schedule):
    """Rise linearly, then fall with the inverse square root of the step; see `inverse_sqrt`.

    Args:
        warmup_steps: Steps until the peak; 0 counts as 1.
    """

    def __init__(self, *, warmup_steps: WarmupSteps = 1000) -> None:
        self.warmup_steps = warmup_steps

    @override
    def share(self, course: Course) -> float:
        return inverse_sqrt(course.step, self.warmup_steps)
