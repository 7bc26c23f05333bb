"""Sum up the results of steps, and check that the loss is finite."""

import math
import time

import torch

from kochi.errors import Diverged
from kochi.training.progress import Window

PENDING = 20  # results that may be pending on an accelerator, to avoid synchronisation


class Meter:
    """Sums over the optimizer steps since the last `take`, separately for each reader.

    Args:
        readers: Names of the readers.
    """

    def __init__(self, *readers: str) -> None:
        self._pending: list[tuple[int, torch.Tensor, int]] = []
        self._sums = {reader: _Sums() for reader in readers}
        self.gradient_norm = 0.0

    def add(self, step: int, outcome: torch.Tensor, tokens: int) -> None:
        """Add the result of a step; see ``Trainer.outcome``."""
        self._pending.append((step, outcome, tokens))
        if outcome.device.type == "cpu" or len(self._pending) >= PENDING:
            self.check()

    def check(self) -> None:
        """Process the pending steps.

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
        """Exclude time that was not spent on steps."""
        for sums in self._sums.values():
            sums.start += seconds

    def sums(self, reader: str) -> list[int | float]:
        """Return the totals since a reader's last `take` as plain numbers, without resetting them.

        Raises:
            Diverged: As in `check`.
        """
        self.check()
        sums = self._sums[reader]
        return [sums.steps, sums.loss, sums.nll, sums.tokens]

    def restore(self, reader: str, sums: list[int | float]) -> None:
        """Restore the result of `sums`, before any step is added."""
        steps, loss, nll, tokens = sums
        found = self._sums[reader]
        found.steps, found.tokens = int(steps), int(tokens)
        found.loss, found.nll = loss, nll

    def take(self, reader: str) -> Window:
        """Return the totals since this reader's last call, and reset them."""
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
