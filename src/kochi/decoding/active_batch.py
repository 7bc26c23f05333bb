"""Which sentences are still being written, and what was chosen for them step by step."""

from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

SHRINK_AT = 8


class ActiveBatch:
    """The sentences of a shrinking batch.

    A sentence that is done is closed at once, so that its answer cannot change. It leaves the batch
    when an eighth of the batch is closed: dropping rows copies the decoder's whole state, which
    costs about as much as carrying a few closed sentences along.

    Args:
        limits: Each sentence's maximum length.
    """

    def __init__(self, limits: Int[Tensor, " batch"]) -> None:
        self.rows = torch.arange(len(limits), device=limits.device)
        self.limits = limits
        self.open = torch.ones_like(limits, dtype=torch.bool)
        self._num_open = len(limits)

    @property
    def empty(self) -> bool:
        """Whether every sentence is done."""
        return self._num_open == 0

    def close(self, done: Bool[Tensor, " batch"]) -> Int[Tensor, " closed"]:
        """Close what is done; return where in the batch the newly closed sentences stand."""
        closed = (done & self.open).nonzero().squeeze(1)
        self.open = self.open & ~done
        self._num_open -= len(closed)
        return closed

    def shrink(self) -> Int[Tensor, " kept"] | None:
        """Drop the closed sentences if they are many; return which places stay, or None."""
        if (len(self.rows) - self._num_open) * SHRINK_AT < len(self.rows):
            return None
        kept = self.open.nonzero().squeeze(1)
        self.rows, self.limits, self.open = self.rows[kept], self.limits[kept], self.open[kept]
        return kept


class Record:
    """Some tensors [batch, width] a step, read back only for sentences that are done."""

    def __init__(self) -> None:
        self._steps: list[tuple[Tensor, ...]] = []

    def append(self, *tensors: Tensor) -> None:
        """Add a step."""
        self._steps.append(tensors)

    def keep(self, rows: Int[Tensor, " kept"]) -> None:
        """Forget the other sentences."""
        stacks = [torch.stack(tensors)[:, rows] for tensors in zip(*self._steps, strict=True)]
        self._steps = list(zip(*stacks, strict=True))

    def read(self, rows: Int[Tensor, " rows"]) -> list[tuple[list[list[Any]], ...]]:
        """Return for each of some sentences one list [length][width] a recorded tensor."""
        stacks = [torch.stack(tensors, 1)[rows] for tensors in zip(*self._steps, strict=True)]
        return list(zip(*(stack.tolist() for stack in stacks), strict=True))
