"""Slow down when the dev metric no longer improves."""

from kochi.training import monitor
from kochi.training.schedules.constant import constant
from kochi.training.state import Evaluation


def plateau(
    step: int,
    warmup_steps: int,
    evaluations: list[Evaluation],
    *,
    metric: str,
    factor: float,
    patience: int,
) -> float:
    """Multiply by ``factor`` each time ``patience`` evaluations in a row brought no new best.

    The count starts again after each reduction and after each new best.

    Args:
        step: The optimizer step, from 1.
        warmup_steps: The step at which the peak is reached; 0 for no warm-up.
        evaluations: All evaluations so far, oldest first.
        metric: The dev metric, which says what is better.
        factor: What the rate is multiplied by.
        patience: Evaluations without a new best that are waited for.

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
