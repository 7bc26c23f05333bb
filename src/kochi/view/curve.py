"""The curve of a training run, drawn from its CSV logs."""

import csv
import io
import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kochi.errors import UserError
from kochi.reading import parsing, read_file
from kochi.view.figures import picture_format, printable, save_figure, set_fonts
from kochi.view.labelled import visible_title

_TRAIN_COLOUR, _DEV_COLOUR = "#4477aa", "#cc6600"  # distinct for colour-blind readers, and in grey

LARGEST = 1 << 28  # bytes of a log

Curve = tuple[list[float], list[float]]


def save_curve(
    train: Path,
    path: Path,
    evaluations: Path | None = None,
    metric: str = "metric",
    title: str | None = None,
) -> None:
    """Draw loss and dev metric over the steps of a training run.

    Args:
        train: CSV log of training; columns "step" and "loss" are read.
        path: The output file; .png, .svg or .pdf.
        evaluations: CSV log of the evaluations; columns "step", "loss" and "metric" are read, and
            either of the last two may be empty.
        metric: Name of the metric in the figure, to which "(greedy)" is added, since evaluations
            during training use greedy search.
        title: A line above the figure.

    Raises:
        UserError: A log is missing, lacks a column or contains values that are not numbers; or the
            path does not end in .png, .svg or .pdf, or cannot be written.
    """
    kind = picture_format(path)
    curves = {"train": _read_curve(train, "loss")}
    if evaluations is not None:
        curves["dev"] = _read_curve(evaluations, "loss")
        curves["metric"] = _read_curve(evaluations, "metric")
    figure = Figure(
        figsize=(7.0, 5.0 if _drawable(curves, "metric") else 3.2), layout="constrained"
    )
    if _drawable(curves, "metric"):
        above, below = figure.subplots(2, 1, sharex=True)
        _draw(below, curves, "metric", metric, _DEV_COLOUR)
        below.set(xlabel="step", ylabel=f"dev {metric} (greedy)")
    else:
        above = figure.subplots()
        above.set_xlabel("step")
    _draw(above, curves, "train", "training", _TRAIN_COLOUR)
    _draw(above, curves, "dev", "dev", _DEV_COLOUR)
    above.set_ylabel("loss")
    if _drawable(curves, "dev"):
        above.legend(frameon=False)
    if title:
        figure.suptitle(printable(visible_title(title), kind), x=0.01, ha="left", fontsize=12)
    set_fonts(figure)
    save_figure(figure, path)


def _drawable(curves: dict[str, Curve], name: str) -> bool:
    return name in curves and len(curves[name][0]) > 0


def _draw(axes: Axes, curves: dict[str, Curve], name: str, label: str, colour: str) -> None:
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if _drawable(curves, name):
        steps, values = curves[name]
        sparse = len(steps) <= 60
        axes.plot(steps, values, color=colour, label=label, marker="o" if sparse else "", ms=3)


def _read_curve(path: Path, column: str) -> Curve:
    """Read the steps and values of one column, without rows where it is empty or not finite.

    An unfinished last row, left by a killed run, is also skipped.
    """
    content = read_file(path, "a CSV log", LARGEST)
    with parsing(str(path), "a CSV log"):
        reader = csv.DictReader(io.StringIO(content.decode(), newline=""))
        rows, names = list(reader), list(reader.fieldnames or [])
    for name in (column, "step"):
        if name not in names:
            raise UserError(f"{path}: no column {name!r}; found {', '.join(names) or 'nothing'}")
    points = [
        (_number(path, line, row["step"]), _number(path, line, row[column]))
        for line, row in enumerate(rows, start=2)
        if row["step"] and row[column]
    ]
    finite = [(step, value) for step, value in points if math.isfinite(value)]
    return [step for step, _ in finite], [value for _, value in finite]


def _number(path: Path, line: int, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{path}, line {line}: {text!r} is not a number") from None
