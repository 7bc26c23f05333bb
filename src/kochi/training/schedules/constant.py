"""Linear warm-up, then the peak."""


def constant(step: int, warmup_steps: int) -> float:
    """Return ``min(1, step / warmup_steps)``.

    Args:
        step: The optimizer step, from 1.
        warmup_steps: The step at which the peak is reached; 0 for no warm-up.

    >>> [constant(step, 4) for step in (1, 2, 4, 100)]
    [0.25, 0.5, 1.0, 1.0]
    """
    return min(1.0, step / max(warmup_steps, 1))
