"""Reduce the learning rate when the dev metric no longer improves."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from typing_extensions import override

from kochi.tables import Positive
from kochi.training import monitor
from kochi.training.schedules.base import Course, Schedule, WarmupSteps
from kochi.training.schedules.constant import constant
from kochi.training.state import Evaluation


def plateau(
    step: int,
    warmup_steps: int,
    evaluations: Sequence[Evaluation],
    *,
    metric: str,
    factor: float,
    patience: int,
) -> float:
    """Multiply by ``factor`` after every ``patience`` evaluations in a row without a new best.

    The count starts again after each reduction and after each new best.

    Args:
        step: The optimizer step, from 1.
        warmup_steps: The step at which the peak is reached; 0 for no warm-up.
        evaluations: All evaluations so far, oldest first.
        metric: The dev metric, which ranks evaluations.
        factor: Factor of each reduction.
        patience: Number of evaluations without a new best before a reduction.

    >>> losses = [3.0, 2.0, 2.5, 2.2, 2.1]
    >>> seen = [Evaluation(i, 1, loss, None, 0.0) for i, loss in enumerate(losses)]
    >>> plateau(100, 10, seen, metric="loss", factor=0.5, patience=2)
    0.5
    """
    share, waited, record = 1.0, 0, (float("-inf"), 0.0)
    for evaluation in evaluations:
        quality = monitor.quality(evaluation, metric)
        waited += 1
        if quality > record:
            record, waited = quality, 0
        elif waited == patience:
            share, waited = share * factor, 0
    return share * constant(step, warmup_steps)


class Plateau(Schedule):
    """Rise linearly, then reduce when the dev metric no longer improves; see `plateau`.

    Args:
        warmup_steps: Steps until the peak; 0 for no warm-up.
        factor: Factor of each reduction.
        patience: Number of evaluations without a new best before a reduction.
    """

    def __init__(
        self,
        *,
        warmup_steps: WarmupSteps = 1000,
        factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5,
        patience: Positive = 2,
    ) -> None:
        self.warmup_steps, self.factor, self.patience = warmup_steps, factor, patience

    @override
    def share(self, course: Course) -> float:
        return plateau(
            course.step,
            self.warmup_steps,
            course.evaluations,
            metric=course.metric,
            factor=self.factor,
            patience=self.patience,
        )
