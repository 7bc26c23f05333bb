"""Base class of learning-rate schedules."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from kochi.training.state import Evaluation

WarmupSteps = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Course:
    """The progress of a training run.

    Attributes:
        step: The optimizer step, from 1.
        total_steps: Number of steps of the whole run.
        evaluations: All evaluations so far, oldest first.
        metric: The dev metric, which ranks evaluations.
    """

    step: int
    total_steps: int
    evaluations: Sequence[Evaluation] = ()
    metric: str = "loss"


class Schedule(ABC):
    """Compute the learning rate, as a fraction of its peak, at each optimizer step.

    Attributes:
        warmup_steps: Steps until the peak; 0 for a schedule without a warm-up.
    """

    warmup_steps: int = 0

    @abstractmethod
    def share(self, course: Course) -> float:
        """Return the factor of the peak learning rate."""
