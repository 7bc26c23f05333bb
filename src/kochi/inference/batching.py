"""Batches of sources of nearly the same length."""

from collections.abc import Iterable, Sequence


def batches_by_length(
    indices: Iterable[int], lengths: Sequence[int], batch_size: int, max_positions: int | None
) -> list[list[int]]:
    """Cut sources into batches, the longest first.

    Args:
        indices: The sources to cut.
        lengths: Of every source.
        batch_size: The most sources in a batch.
        max_positions: The most positions in a padded batch of more than one source, so that a long
            source takes no more memory than many short ones; None for no limit.

    >>> batches_by_length(range(4), [1, 5, 2, 2], batch_size=2, max_positions=6)
    [[1], [2, 3], [0]]
    """
    order = sorted(indices, key=lambda index: -lengths[index])
    batches = list[list[int]]()
    start = 0
    while start < len(order):
        longest = max(1, lengths[order[start]])
        size = batch_size
        if max_positions is not None:
            size = max(1, min(size, max_positions // longest))
        batches.append(order[start : start + size])
        start += size
    return batches
