"""Training curves as files: CSV and TensorBoard.

A resumed run appends to the same files, after dropping the rows of steps that are repeated.
"""

import contextlib
import csv
import io
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from kochi.folder import naming, write_atomic
from kochi.training.evaluation import SEARCH
from kochi.training.examples import Example
from kochi.training.state import RunState

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from kochi.training.loggers import RunLogger

TRAIN_COLUMNS = (
    "step",
    "epoch",
    "loss",
    "nll",
    "learning_rate",
    "gradient_norm",
    "tokens",
    "seconds",
)
EVALUATION_COLUMNS = ("step", "epoch", "loss", "metric", "seconds")
EXAMPLE_COLUMNS = ("step", "source", "target", "prediction")
DRAWING_SHARE = 0.02  # maximum fraction of the time for charts of alignments
FIRST_DRAWING_SECONDS = 0.5
_STEP = re.compile("[0-9]+")
_PREFIX = "events.out.tfevents."
_EVENTS = re.compile(r"events\.out\.tfevents\.(\d+)(\..*)")


class CsvLog:
    """Append rows to a CSV file whose first column is the step.

    Args:
        path: The file.
        columns: Its header.
        step: Current step of the run; rows of later steps are dropped.
        rows: Rows that replace the existing ones, if known.
    """

    def __init__(
        self,
        path: Path,
        columns: tuple[str, ...],
        step: int,
        rows: Sequence[dict[str, Any]] | None = None,
    ) -> None:
        self._path = path
        self._columns = columns
        if rows is None:
            kept = [row for row in _rows(path, columns) if int(row[0]) <= step]
        else:
            kept = [self._cells(row) for row in rows]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([list(columns), *kept])
        write_atomic(path, text.getvalue().encode())
        self._file: TextIO = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file, lineterminator="\n")

    def write(self, values: dict[str, Any]) -> None:
        """Append a row; None leaves a cell empty.

        Raises:
            OSError: The file cannot be written; the error names it.
        """
        with naming(self._path):
            self._writer.writerow(self._cells(values))
            self._file.flush()

    def sync(self) -> None:
        """Flush all rows to disk.

        Raises:
            OSError: As in `write`.
        """
        with naming(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _cells(self, values: dict[str, Any]) -> list[Any]:
        return [_cell(values[column]) for column in self._columns]


def _rows(path: Path, columns: tuple[str, ...]) -> list[list[str]]:
    """Read the rows of a file up to the first incomplete one; a crash may leave such a last row."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    end = text.rfind("\n") + 1  # the rest is an incomplete row
    rows: list[list[str]] = []
    limit = csv.field_size_limit(max(len(text), 1))
    try:
        for row in csv.reader(io.StringIO(text[:end], newline=""), strict=True):
            rows.append(row)
    except csv.Error:
        pass
    finally:
        csv.field_size_limit(limit)
    return [row for row in rows[1:] if len(row) == len(columns) and _STEP.fullmatch(row[0])]


def _cell(value: Any) -> Any:
    return f"{value:.8g}" if isinstance(value, float) else value


class Logs:
    """All logs of a run.

    Args:
        folder: The folder of the logs.
        state: The progress of the run.
        metric: Name of the dev metric.
        loggers: Open loggers to which curves are sent as well.
    """

    def __init__(
        self,
        folder: Path,
        state: RunState,
        metric: str = "metric",
        loggers: "Sequence[RunLogger]" = (),
    ) -> None:
        self._loggers = loggers
        self._metric = metric
        self._begun, self._drawing = time.monotonic(), FIRST_DRAWING_SECONDS
        self._undrawn: tuple[int, Sequence[Example]] | None = None
        step = state.step
        evaluated = step - 1 if state.evaluation_pending else step
        rows = [vars(evaluation) for evaluation in state.evaluations]
        with contextlib.ExitStack() as stack:  # closes what is open if the next cannot be opened

            def table(name: str, *about: Any) -> CsvLog:
                return stack.enter_context(contextlib.closing(CsvLog(folder / name, *about)))

            self._examples = table("examples.csv", EXAMPLE_COLUMNS, evaluated)
            self._train = table("train.csv", TRAIN_COLUMNS, step)
            self._evaluations = table("evaluations.csv", EVALUATION_COLUMNS, evaluated, rows)
            self._board = stack.enter_context(_open_board(folder / "tensorboard", step))
            for logger in loggers:
                stack.callback(logger.close)
            self._open = stack.pop_all()

    def train(self, values: dict[str, Any]) -> None:
        """Log the steps since the last row: means per token, and the progress."""
        self._train.write(values)
        self._scalars("train", values, ("loss", "nll", "learning_rate", "gradient_norm"))

    def evaluation(self, values: dict[str, Any]) -> None:
        """Log an evaluation."""
        self._evaluations.write(values)
        named = {**values, f"{SEARCH}_{self._metric}": values["metric"]}
        self._scalars("dev", named, ("loss", f"{SEARCH}_{self._metric}"))

    def examples(self, step: int, examples: Sequence[Example]) -> None:
        """Log some dev rows with their predictions and alignments.

        Alignments are drawn for the last evaluation, and for others only if drawing takes a small
        fraction of the time.
        """
        for number, example in enumerate(examples, 1):
            texts = example.texts()
            self._examples.write({"step": step, **texts})
            lines = [f"    {name:<10}  {text}" for name, text in texts.items()]  # Markdown's code
            self._board.add_text(f"dev/example_{number}", "\n".join(lines), step)
        begin = time.monotonic()
        self._undrawn = step, examples
        if self._drawing <= DRAWING_SHARE * (begin - self._begun):
            self._draw()
            self._drawing += time.monotonic() - begin

    def _draw(self) -> None:
        if self._undrawn is None:
            return
        from kochi.training.drawing import draw_examples

        (step, examples), self._undrawn = self._undrawn, None
        for name, pixels in draw_examples(examples, f"after step {step}"):
            self._board.add_image(f"dev/{name}", pixels, step, dataformats="HWC")

    def sync(self) -> None:
        """Flush all rows to disk.

        Raises:
            OSError: A file cannot be written.
        """
        for log in (self._train, self._evaluations, self._examples):
            log.sync()

    def close(self) -> None:
        """Flush and close all logs."""
        with self._open:
            self._draw()

    def _scalars(self, group: str, values: dict[str, Any], names: tuple[str, ...]) -> None:
        found = {f"{group}/{name}": values[name] for name in names if values[name] is not None}
        for name, value in found.items():
            self._board.add_scalar(name, value, values["step"])
        for logger in self._loggers:
            logger.log(found, values["step"])


def _open_board(board: Path, step: int) -> "SummaryWriter":
    from torch.utils.tensorboard import SummaryWriter

    begun = board.is_dir()
    if begun:
        _put_in_order(board)
    return SummaryWriter(str(board), purge_step=step + 1 if begun else None)


def _put_in_order(board: Path) -> None:
    """Rename event files with a time in the future, as after the clock was set back.

    TensorBoard reads the files in the order of their names, which begin with the time: the output
    of a resumed run must come last to replace the steps that are repeated.
    """
    now, files = int(time.time()), []
    for path in sorted(board.iterdir()):
        found = _EVENTS.fullmatch(path.name)
        if found is not None:
            files.append((int(found[1]), found[2], path))
    if not files or max(seconds for seconds, _, _ in files) < now:
        return
    for number, (_, rest, path) in enumerate(files):
        path.rename(board / f"{_PREFIX}{now - len(files) + number:010}.{number}{rest}")
