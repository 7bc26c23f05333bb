"""Learning-rate schedules: the share of the peak at each optimizer step.

Each is a function of the step (from 1) and, for the plateau, of the evaluations so far.
"""

from kochi import config
from kochi.training.schedules.constant import constant
from kochi.training.schedules.cosine import cosine
from kochi.training.schedules.inverse_sqrt import inverse_sqrt
from kochi.training.schedules.plateau import plateau
from kochi.training.state import Evaluation

__all__ = ["constant", "cosine", "inverse_sqrt", "plateau", "share_of_peak"]


def share_of_peak(
    training: config.Training, step: int, total_steps: int, evaluations: list[Evaluation]
) -> float:
    """Return the factor of the peak learning rate at optimizer step ``step``, counted from 1."""
    schedule = training.schedule
    match schedule.kind:
        case "inverse_sqrt":
            return inverse_sqrt(step, schedule.warmup_steps)
        case "cosine":
            return cosine(step, schedule.warmup_steps, total_steps, schedule.final_fraction)
        case "plateau":
            return plateau(
                step,
                schedule.warmup_steps,
                evaluations,
                metric=training.metric,
                factor=schedule.factor,
                patience=schedule.patience,
            )
        case "constant":
            return constant(step, schedule.warmup_steps)
