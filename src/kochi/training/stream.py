"""A resumable stream of the optimizer steps of a run, over all epochs."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from kochi.data.batches import Batch, TokenBatches


@dataclass(frozen=True)
class Group:
    """The batches of one optimizer step.

    Attributes:
        batches: This process's part of each batch.
        num_tokens: Number of target tokens of the whole group, over all processes.
        epoch: The epoch that it belongs to, from 0.
        position: Position of the stream after it, as plain data.
        ends_epoch: Whether it is the last group of its epoch.
        ends_run: Whether it is the last group of the run.
    """

    batches: "list[Batch]"
    num_tokens: int
    epoch: int
    position: dict[str, Any]
    ends_epoch: bool
    ends_run: bool

    def to(self, device: torch.device) -> "Group":
        """Move the batches to a device."""
        moved = [batch.to(device) for batch in self.batches]
        return Group(
            moved, self.num_tokens, self.epoch, self.position, self.ends_epoch, self.ends_run
        )


def is_due(every: int, step: int, ends_epoch: bool) -> bool:
    """Return whether something is due that happens every ``every`` steps, or, for 0, every epoch.

    >>> is_due(3, 6, False), is_due(3, 7, True), is_due(0, 7, True)
    (True, False, True)
    """
    return ends_epoch if every == 0 else step % every == 0


class StepStream:
    """Iterate over the groups of a run, starting at a position.

    Groups do not cross the end of an epoch: the last one of an epoch may be smaller.

    Args:
        batches: The batches of one process.
        accumulate: Number of batches in a group.
        epochs: Number of epochs of the whole run.
        max_steps: Maximum number of groups of the whole run.
        position: ``Group.position`` of the last group that was trained on, or None.
        step: Number of groups already trained on.
    """

    def __init__(
        self,
        batches: "TokenBatches",
        accumulate: int,
        epochs: int,
        max_steps: int | None = None,
        position: dict[str, Any] | None = None,
        step: int = 0,
    ) -> None:
        self.batches = batches
        self.accumulate = accumulate
        self.epochs = epochs
        self.position = position
        self.step = step
        self.epoch_steps = -(-len(batches) // accumulate)
        self.total_steps = min(epochs * self.epoch_steps, max_steps or epochs * self.epoch_steps)

    def __iter__(self) -> Generator[Group, None, None]:
        position = self.position or {"epoch": 0, "batches": None}
        step = self.step
        for epoch in range(position["epoch"], self.epochs):
            state = position["batches"] if epoch == position["epoch"] else None
            for chunk, after, ends_epoch in self._chunks(epoch, state):
                if step >= self.total_steps:
                    return
                step += 1
                yield self._group(chunk, after, epoch, ends_epoch, step)

    def _chunks(
        self, epoch: int, state: dict[str, Any] | None
    ) -> "Iterator[tuple[list[Batch], dict[str, Any], bool]]":
        """Give lists of ``accumulate`` batches, the state after each, and which is the last."""
        self.batches.set_epoch(epoch)
        if state is not None:
            self.batches.load_state_dict(state)
        full: tuple[list[Batch], dict[str, Any]] | None = None
        chunk: list[Batch] = []
        for batch in self.batches:
            if full is not None:
                yield *full, False
                full = None
            chunk.append(batch)
            if len(chunk) == self.accumulate:
                full, chunk = (chunk, self.batches.state_dict()), []
        if full is not None:
            yield *full, True
        elif chunk:
            yield chunk, self.batches.state_dict(), True

    def _group(
        self, chunk: "list[Batch]", after: dict[str, Any], epoch: int, ends_epoch: bool, step: int
    ) -> Group:
        if ends_epoch:
            position = {"epoch": epoch + 1, "batches": None}
        else:
            position = {"epoch": epoch, "batches": after}
        return Group(
            batches=chunk,
            num_tokens=sum(batch.global_num_tokens for batch in chunk),
            epoch=epoch,
            position=position,
            ends_epoch=ends_epoch,
            ends_run=step >= self.total_steps,
        )
