"""Curves on the disk: CSV files to read with anything, and TensorBoard.

A resumed run goes on in the same files; rows of steps that are done again are dropped first.
"""

import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from kochi.folder import write_atomic
from kochi.training.evaluation import SEARCH
from kochi.training.examples import Example

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
DRAWING_SHARE = 0.02  # of the time, at most, goes into pictures of alignments
FIRST_DRAWING_SECONDS = 0.5


class CsvLog:
    """Append rows to a CSV file whose first column is the step.

    Args:
        path: The file.
        columns: Its header.
        step: Where the run stands; rows of later steps are dropped.
    """

    def __init__(self, path: Path, columns: tuple[str, ...], step: int) -> None:
        rows = [row for row in _rows(path, columns) if int(row[0]) <= step]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([list(columns), *rows])
        write_atomic(path, text.getvalue().encode())
        self._columns = columns
        self._file: TextIO = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file, lineterminator="\n")

    def write(self, values: dict[str, Any]) -> None:
        """Append a row; None is left empty."""
        self._writer.writerow([_cell(values[column]) for column in self._columns])
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _rows(path: Path, columns: tuple[str, ...]) -> list[list[str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = list(csv.reader(file))[1:]
    return [row for row in rows if len(row) == len(columns) and row[0].isdigit()]


def _cell(value: Any) -> Any:
    return f"{value:.8g}" if isinstance(value, float) else value


class Logs:
    """All logs of a run.

    Args:
        folder: Where they lie.
        step: Where the run stands.
        metric: The dev metric's name.
    """

    def __init__(self, folder: Path, step: int, metric: str = "metric") -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._metric = metric
        self._begun, self._drawing = time.monotonic(), FIRST_DRAWING_SECONDS
        self._undrawn: tuple[int, Sequence[Example]] | None = None
        self._examples = CsvLog(folder / "examples.csv", EXAMPLE_COLUMNS, step)
        self._train = CsvLog(folder / "train.csv", TRAIN_COLUMNS, step)
        self._evaluations = CsvLog(folder / "evaluations.csv", EVALUATION_COLUMNS, step)
        self._board = SummaryWriter(
            str(folder / "tensorboard"), purge_step=step + 1 if step else None
        )

    def train(self, values: dict[str, Any]) -> None:
        """Log the steps since the last row: means a token, and where the run stands."""
        self._train.write(values)
        self._scalars("train", values, ("loss", "nll", "learning_rate", "gradient_norm"))

    def evaluation(self, values: dict[str, Any]) -> None:
        """Log an evaluation."""
        self._evaluations.write(values)
        named = {**values, f"{SEARCH}_{self._metric}": values["metric"]}
        self._scalars("dev", named, ("loss", f"{SEARCH}_{self._metric}"))

    def examples(self, step: int, examples: Sequence[Example]) -> None:
        """Log some dev rows with what the model wrote, and where it attended.

        Alignments are drawn of the last evaluation, and of others as often as drawing takes little
        of the time.
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

    def close(self) -> None:
        """Write out and close everything."""
        self._draw()
        self._train.close()
        self._evaluations.close()
        self._examples.close()
        self._board.close()

    def _scalars(self, group: str, values: dict[str, Any], names: tuple[str, ...]) -> None:
        for name in names:
            if values[name] is not None:
                self._board.add_scalar(f"{group}/{name}", values[name], values["step"])
