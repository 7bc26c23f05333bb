"""The progress of a run: a progress bar, or plain lines if the output is not a terminal."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

from kochi.printing import unguarded
from kochi.training.evaluation import SEARCH
from kochi.training.examples import Example
from kochi.training.state import Evaluation
from kochi.visible import visible_text

BAR_SECONDS = 0.25
LINE_SECONDS = 30.0


@runtime_checkable
class Stream(Protocol):
    """A stream of text such as ``sys.stderr``."""

    def write(self, text: str, /) -> int:
        """Write some text."""
        ...

    def flush(self) -> None:
        """Flush the stream."""
        ...

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        ...


@dataclass(frozen=True)
class Window:
    """The totals since the last report.

    Attributes:
        steps: Optimizer steps.
        loss: Summed label-smoothed loss, nats.
        nll: Summed negative log-likelihood, nats.
        tokens: Target tokens.
        seconds: Elapsed time, without evaluations.
    """

    steps: int
    loss: float
    nll: float
    tokens: int
    seconds: float


def estimate_time_left(
    step_seconds: float, steps_left: int, evaluation_seconds: float, evaluations_left: int
) -> float:
    """Estimate the seconds until the run ends, at the current speed.

    >>> estimate_time_left(0.5, 100, 10.0, 2)
    70.0
    """
    return step_seconds * steps_left + evaluation_seconds * evaluations_left


def clock(seconds: float) -> str:
    """Format seconds as hours, minutes and seconds.

    >>> clock(62.0), clock(3723.0)
    ('1:02', '1:02:03')
    """
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Progress:
    """Shows the progress of a run.

    In a terminal a bar is redrawn at most every ``BAR_SECONDS``; elsewhere a line is printed every
    ``LINE_SECONDS``. Evaluations and messages are always printed as lines.

    Args:
        stream: The output; None for standard error.
        silent: Print nothing.
    """

    def __init__(self, stream: Stream | None = None, silent: bool = False) -> None:
        self._stream: Stream | None = None if silent else stream or sys.stderr
        self._bar: Any = None
        self._task: Any = None
        self._shown = 0.0
        self._epochs = 1
        self._total = 1
        self._rate = 0.0

    @property
    def interval(self) -> float:
        """Seconds between two reports."""
        return BAR_SECONDS if self._bar is not None else LINE_SECONDS

    def start(self, step: int, total_steps: int, epochs: int) -> None:
        """Start the display at ``step`` of ``total_steps``."""
        self._epochs, self._total = epochs, total_steps
        self._shown = time.monotonic()
        if self._stream is not None and self._stream.isatty():
            bar = self._bar = _bar(self._stream)
            self._task = bar.add_task("", total=total_steps, completed=step, text="")
            self._try(bar.start)

    def is_due(self) -> bool:
        """Return whether the next report is due."""
        return self._stream is not None and time.monotonic() - self._shown >= self.interval

    def report(self, step: int, epoch: int, window: Window, seconds_left: float) -> None:
        """Show the totals since the last report."""
        self._shown = time.monotonic()
        if window.steps == 0:
            return
        text = (
            f"epoch {epoch + 1}/{self._epochs}  {_loss(window.nll / window.tokens)}  "
            f"{self._smooth(window):,.0f} tok/s  {clock(seconds_left)} left"
        )
        if self._bar is not None:
            self._update(completed=step, text=text)
        else:
            self._print(f"step {step}/{self._total}  {text}")

    def evaluating(self) -> None:
        """Show that an evaluation is running."""
        if self._bar is not None:
            self._update(text="evaluating ...")

    def evaluated(
        self,
        evaluation: Evaluation,
        metric: str,
        is_best: bool,
        examples: Sequence[Example] = (),
    ) -> None:
        """Show an evaluation and some dev rows, if there is a dev set."""
        if evaluation.loss is None:
            return
        score = ""
        if evaluation.metric is not None:
            score = f"  {SEARCH} {metric} {evaluation.metric:.2f}"
        self.message(
            f"step {evaluation.step}  epoch {evaluation.epoch}  dev {_loss(evaluation.loss)}{score}"
            f"  ({clock(evaluation.seconds)}){'  best so far' if is_best else ''}"
        )
        for example in examples:
            texts = example.texts()
            width = max(map(len, texts))
            for name, text in texts.items():
                self.message(f"  {name:<{width}}  {text}")

    def message(self, text: str) -> None:
        """Print a permanent line, with control characters escaped."""
        text = visible_text(text)
        if self._bar is not None:
            self._try(partial(self._bar.console.print, text, highlight=False, markup=False))
        else:
            self._print(text)

    def stop(self) -> None:
        """Remove the bar."""
        bar, self._bar = self._bar, None
        if bar is not None:
            self._try(bar.stop)

    def _smooth(self, window: Window) -> float:
        rate = window.tokens / max(window.seconds, 1e-9)
        weight = 0.8 if self._bar is not None and self._rate else 0.0
        self._rate = weight * self._rate + (1.0 - weight) * rate
        return self._rate

    def _print(self, text: str) -> None:
        stream = self._stream
        if stream is not None:
            self._try(lambda: (stream.write(text + "\n"), stream.flush()))

    def _update(self, **values: Any) -> None:
        self._try(partial(self._bar.update, self._task, refresh=True, **values))

    def _try(self, show: Callable[[], object]) -> None:
        """Show something; if the output was closed, training continues silently."""
        try:
            show()
        except (OSError, ValueError):
            self._stream = self._bar = None


def _loss(nats: float) -> str:
    perplexity = math.exp(min(nats, 50.0))
    return f"loss {nats:.3f} (ppl {perplexity:.{1 if perplexity >= 10 else 2}f})"


def _bar(stream: Any) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}", markup=False),
        console=Console(file=unguarded(stream)),
        auto_refresh=False,
        transient=True,
    )
