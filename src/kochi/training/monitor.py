"""Decisions from the evaluations so far: the best ones, and when to stop.

These are pure functions of the list of evaluations, which is part of the checkpoint, so that a
resumed run makes the same decisions as an uninterrupted one.
"""

from kochi import config
from kochi.training.state import Evaluation, RunState


def quality(evaluation: Evaluation, metric: str) -> tuple[float, float]:
    """Return a sort key that is higher for a better evaluation: by the metric, then by the loss.

    Without a dev set, the later evaluation counts as better.

    >>> early, late = Evaluation(4, 1, 3.2, 0.0, 0.0), Evaluation(8, 2, 2.9, 0.0, 0.0)
    >>> quality(late, "exact") > quality(early, "exact")
    True
    """
    if evaluation.loss is None:
        return float(evaluation.step), 0.0
    if evaluation.metric is None:
        return -evaluation.loss, 0.0
    from kochi.metrics import higher_is_better

    value = evaluation.metric if higher_is_better(metric) else -evaluation.metric
    return value, -evaluation.loss


def best(evaluations: list[Evaluation], metric: str, count: int = 1) -> list[Evaluation]:
    """Return the ``count`` best evaluations, best first; ties go to the earlier one."""
    earlier_first = sorted(evaluations, key=lambda e: e.step)
    return sorted(earlier_first, key=lambda e: quality(e, metric), reverse=True)[:count]


def without_gain(evaluations: list[Evaluation], metric: str) -> int:
    """Count the evaluations since the best one.

    >>> losses = [3.0, 2.0, 2.5, 2.2]
    >>> without_gain([Evaluation(i, 1, loss, None, 0.0) for i, loss in enumerate(losses)], "loss")
    2
    """
    if not evaluations:
        return 0
    first = best(evaluations, metric)[0]
    return sum(e.step > first.step for e in evaluations)


def should_stop(evaluations: list[Evaluation], training: config.Training) -> bool:
    """Return whether the dev metric has not improved for ``training.patience`` evaluations."""
    if training.patience is None:
        return False
    return without_gain(evaluations, training.metric) >= training.patience


def is_done(state: RunState, training: config.Training, total_steps: int) -> bool:
    """Return whether no step and no evaluation is left."""
    if state.evaluation_pending:
        return False
    return state.step >= total_steps or should_stop(state.evaluations, training)


def chosen(evaluations: list[Evaluation], training: config.Training) -> list[Evaluation]:
    """Return the evaluated checkpoints whose average becomes the model.

    With ``average_last = 1`` that is the best one. Else the last k, or with ``average = "best"``
    the best k.
    """
    if training.average_last == 1 or training.average == "best":
        return best(evaluations, training.metric, training.average_last)
    return evaluations[-training.average_last :]


def kept(evaluations: list[Evaluation], training: config.Training) -> set[int]:
    """Return the steps whose weights must stay on the disk."""
    found = best(evaluations, training.metric, training.keep_best)
    return {e.step for e in [*found, *chosen(evaluations, training)]}
