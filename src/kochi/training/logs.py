"""Curves on the disk: CSV files to read with anything, and TensorBoard.

A resumed run goes on in the same files; rows of steps that are done again are dropped first.
"""

import csv
from pathlib import Path
from typing import Any, TextIO

from kochi.folder import write_atomic

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


class CsvLog:
    """Append rows to a CSV file whose first column is the step.

    Args:
        path: The file.
        columns: Its header.
        step: Where the run stands; rows of later steps are dropped.
    """

    def __init__(self, path: Path, columns: tuple[str, ...], step: int) -> None:
        rows = [row for row in _rows(path, columns) if int(row[0]) <= step]
        text = "".join(",".join(row) + "\n" for row in [list(columns), *rows])
        write_atomic(path, text.encode())
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
    """

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

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
        self._scalars("dev", values, ("loss", "metric"))

    def close(self) -> None:
        """Write out and close everything."""
        self._train.close()
        self._evaluations.close()
        self._board.close()

    def _scalars(self, group: str, values: dict[str, Any], names: tuple[str, ...]) -> None:
        for name in names:
            if values[name] is not None:
                self._board.add_scalar(f"{group}/{name}", values[name], values["step"])
