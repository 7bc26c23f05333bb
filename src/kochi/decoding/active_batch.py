"""The unfinished sentences of a batch, and a record of their steps."""

from typing import Any, cast

import torch
from jaxtyping import Bool, Int
from torch import Tensor

SHRINK_AT = 8


class ActiveBatch:
    """The sentences of a shrinking batch.

    A finished sentence is closed at once, so that its output cannot change. It is removed when an
    eighth of the batch is closed: dropping rows copies the decoder's whole state, which costs about
    as much as keeping a few closed sentences.

    Args:
        limits: The maximum length of each sentence.
    """

    def __init__(self, limits: Int[Tensor, " batch"]) -> None:
        self.rows = torch.arange(len(limits), device=limits.device)
        self.limits = limits
        self.open = torch.ones_like(limits, dtype=torch.bool)
        self._num_open = len(limits)

    @property
    def empty(self) -> bool:
        """Whether every sentence is finished."""
        return self._num_open == 0

    def close(self, done: Bool[Tensor, " batch"]) -> Int[Tensor, " closed"]:
        """Close finished sentences; return the batch indices of the newly closed ones."""
        closed = (done & self.open).nonzero().squeeze(1)
        self.open = self.open & ~done
        self._num_open -= len(closed)
        return closed

    def shrink(self) -> Int[Tensor, " kept"] | None:
        """Drop the closed sentences if there are many; return the indices to keep, or None."""
        if (len(self.rows) - self._num_open) * SHRINK_AT < len(self.rows):
            return None
        kept = self.open.nonzero().squeeze(1)
        self.rows, self.limits, self.open = self.rows[kept], self.limits[kept], self.open[kept]
        return kept


class Record:
    """Tensors [batch, width] of each step, read back only for finished sentences."""

    def __init__(self) -> None:
        self._steps: list[tuple[Tensor, ...]] = []

    def append(self, *tensors: Tensor) -> None:
        """Add a step."""
        self._steps.append(tensors)

    def keep(self, rows: Int[Tensor, " kept"]) -> None:
        """Keep only the given sentences."""
        stacks = [torch.stack(tensors)[:, rows] for tensors in zip(*self._steps, strict=True)]
        self._steps = list(zip(*stacks, strict=True))

    def read(self, rows: Int[Tensor, " rows"]) -> list[tuple[list[list[Any]], ...]]:
        """Return, for each of the given sentences, one list [length][width] per tensor."""
        stacks = [torch.stack(tensors, 1)[rows] for tensors in zip(*self._steps, strict=True)]
        lists: list[list[list[list[Any]]]] = [cast(Any, stack).tolist() for stack in stacks]
        return list(zip(*lists, strict=True))
