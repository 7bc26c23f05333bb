"""Add up what the steps report, and notice when the loss is no number."""

import math
import time

import torch

from kochi.errors import Diverged
from kochi.training.progress import Window

PENDING = 20  # outcomes that may wait on an accelerator, which is not made to wait for them


class Meter:
    """Sums over the optimizer steps since the last `take`, for several readers.

    Args:
        readers: Names of the readers.
    """

    def __init__(self, *readers: str) -> None:
        self._pending: list[tuple[int, torch.Tensor, int]] = []
        self._sums = {reader: _Sums() for reader in readers}
        self.gradient_norm = 0.0

    def add(self, step: int, outcome: torch.Tensor, tokens: int) -> None:
        """Add a step; see ``Trainer.outcome``."""
        self._pending.append((step, outcome, tokens))
        if outcome.device.type == "cpu" or len(self._pending) >= PENDING:
            self.check()

    def check(self) -> None:
        """Look at the steps that are still waiting.

        Raises:
            Diverged: A loss or a gradient is not finite.
        """
        for step, outcome, tokens in self._pending:
            loss, nll, self.gradient_norm = outcome.tolist()
            if not (math.isfinite(loss) and math.isfinite(self.gradient_norm)):
                what = "loss" if not math.isfinite(loss) else "gradient"
                raise Diverged(
                    f"step {step}: the {what} is not finite (loss {loss / tokens:.4g} nats a token,"
                    f" gradient norm {self.gradient_norm:.4g}); lower training.learning_rate, "
                    "lengthen training.schedule.warmup_steps or set training.gradient_clip, and "
                    "start over with --overwrite"
                )
            for sums in self._sums.values():
                sums.add(loss, nll, tokens)
        self._pending.clear()

    def pause(self, seconds: float) -> None:
        """Leave out time that was not spent on steps."""
        for sums in self._sums.values():
            sums.start += seconds

    def sums(self, reader: str) -> list[int | float]:
        """Return what happened since a reader's last `take` as plain numbers, and go on.

        Raises:
            Diverged: As in `check`.
        """
        self.check()
        sums = self._sums[reader]
        return [sums.steps, sums.loss, sums.nll, sums.tokens]

    def restore(self, reader: str, sums: list[int | float]) -> None:
        """Take up what `sums` returned, before any step is added."""
        steps, loss, nll, tokens = sums
        found = self._sums[reader]
        found.steps, found.tokens = int(steps), int(tokens)
        found.loss, found.nll = loss, nll

    def take(self, reader: str) -> Window:
        """Return what happened since this reader's last call, and start anew."""
        self.check()
        sums, self._sums[reader] = self._sums[reader], _Sums()
        seconds = self._sums[reader].start - sums.start
        return Window(sums.steps, sums.loss, sums.nll, sums.tokens, seconds)


class _Sums:
    def __init__(self) -> None:
        self.steps = self.tokens = 0
        self.loss = self.nll = 0.0
        self.start = time.monotonic()

    def add(self, loss: float, nll: float, tokens: int) -> None:
        self.steps += 1
        self.tokens += tokens
        self.loss += loss
        self.nll += nll
