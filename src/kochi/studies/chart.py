"""Charts of figures with their intervals, distinguished by marker, line style and colour."""

import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from kochi.studies.estimates import Estimate
from kochi.studies.report import Chart
from kochi.view.figures import save_figure, set_fonts

# Tol's bright scheme, which is safe for colour blindness (https://personal.sron.nl/~pault).
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
STROKES = ("-", "--", "-.", ":", "-", "--", "-.")
SCORES = ("BLEU", "chrF", "exact match, %")
LARGEST = 102.0  # of a score in percent, leaving room for its marker
LINE = 84  # characters per line below a chart
HATCHES = ("", "//", "..", "xx", "--", "\\\\", "++")


def draw(chart: Chart, title: str, path: Path) -> None:
    """Draw a chart as PNG or SVG, depending on the suffix.

    Raises:
        UserError: The file cannot be written.
    """
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    axes = figure.subplots()
    if chart.kind == "lines":
        _lines(axes, chart)
    else:
        _bars(axes, chart)
    axes.set(xlabel=chart.x_label, ylabel=chart.y_label)
    if chart.y_label in SCORES:  # an interval may extend beyond the scale
        axes.set_ylim(top=min(LARGEST, axes.get_ylim()[1]))
    axes.grid(alpha=0.25, axis="both" if chart.kind == "lines" else "y")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, loc="left", fontsize=11, wrap=True)
    if len(chart.series) > 1:
        figure.legend(loc="outside lower center", ncols=min(4, len(chart.series)), frameon=False)
    set_fonts(figure)
    save_figure(figure, path)


def _lines(axes: Axes, chart: Chart) -> None:
    for number, series in enumerate(chart.series):
        points = [
            (float(place), point)
            for place, point in zip(chart.places, series.points, strict=True)
            if point is not None
        ]
        turn = number % len(COLOURS)
        axes.errorbar(
            [place for place, _ in points],
            [point.value for _, point in points],
            yerr=_reach([point for _, point in points]),
            label=series.name,
            color=COLOURS[turn],
            marker=MARKS[turn],
            linestyle=STROKES[turn],
            capsize=3,
        )
    if chart.logarithmic and any(point for series in chart.series for point in series.points):
        axes.set(xscale="log", yscale="log")
        axes.set_xticks([float(place) for place in chart.places], [f"{p:g}" for p in chart.places])
        axes.minorticks_off()
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _bars(axes: Axes, chart: Chart) -> None:
    width = 0.8 / len(chart.series)
    for number, series in enumerate(chart.series):
        at = [
            (place + (number - (len(chart.series) - 1) / 2) * width, point)
            for place, point in enumerate(series.points)
            if point is not None
        ]
        turn = number % len(COLOURS)
        axes.bar(
            [place for place, _ in at],
            [point.value for _, point in at],
            width * 0.92,
            yerr=_reach([point for _, point in at]),
            label=series.name,
            color=COLOURS[turn],
            hatch=HATCHES[turn],
            edgecolor="white",
            capsize=3,
        )
    room = max(8, LINE // max(1, len(chart.places)))
    names = [textwrap.fill(str(place), room, break_long_words=False) for place in chart.places]
    axes.set_xticks(range(len(names)), names, fontsize=8 if len(names) > 5 else None)


def _reach(points: list[Estimate]) -> "np.ndarray":
    """Return the half-widths of intervals; 0 if there is only one draw."""
    ends = [(point.value - point.low, point.high - point.value) for point in points]
    known = [[reach if np.isfinite(reach) else 0.0 for reach in one] for one in ends]
    return np.array(known).reshape(-1, 2).T
