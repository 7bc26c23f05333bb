"""How wide must a window be?

Luong et al. 2015, section 3.2, look at 2 D + 1 places with D = 10 (https://arxiv.org/abs/1508.04025)
and say that this is cheaper than to look everywhere. Expected: a window as wide as the words move
loses nothing, a narrower one does; a step on long sentences takes less time and keeps less.
"""

from typing import Any

from typing_extensions import override

from kochi.studies import models
from kochi.studies.cells import Cell
from kochi.studies.reading import Reading, estimate, numbers, saved
from kochi.studies.report import Chart, Check, Claim, Report, Series
from kochi.studies.study import Found, Study
from kochi.studies.task import Task
from kochi.studies.timed import NOTE, StepCost
from kochi.studies.trained import Trained

WIDTHS = (1, 2, 4, 8)
GLOBAL = "everywhere"
LENGTH, BATCH = 256, 8
MARGIN = 1.0
SOURCE = "Luong et al. 2015, section 3.2"


def _names() -> dict[str, Any]:
    windows = {f"local-m, D = {width}": {"kind": "local_m", "width": width} for width in WIDTHS}
    guesses = {f"local-p, D = {width}": {"kind": "local_p", "width": width} for width in WIDTHS}
    return {**windows, **guesses, GLOBAL: "global"}


class Local(Study):
    """Windows of several widths: quality, alignment error, time and memory of a step."""

    name = "local"
    training_minutes = 4.0
    timing_minutes = 0.4

    @override
    def cells(self, task: Task, seed: int) -> dict[str, Cell]:
        cells: dict[str, Cell] = {}
        for name, scope in _names().items():
            model = models.luong(task.size, score="general", scope=scope)
            cells[name] = Trained(task, model, seed)
            alone = models.luong(task.size, input_feeding=False, score="general", scope=scope)
            cells[f"step, {name}"] = StepCost(alone, LENGTH, BATCH, seed)
        return cells

    @override
    def report(self, task: Task, found: Found) -> Report:
        reading = Reading(task)
        quality = {name: reading.quality(found[name]) for name in _names()}
        rows = tuple(
            (
                name,
                estimate(quality[name]),
                estimate(reading.alignment_error(found[name])),
                numbers(found[f"step, {name}"], "milliseconds"),
                _megabytes(found, name),
            )
            for name in _names()
        )
        columns = (
            "scope",
            reading.name,
            "alignment error rate, %",
            f"milliseconds a step at {LENGTH} words",
            "MB kept by a step",
        )
        series = tuple(
            Series(kind, tuple(estimate(quality[f"{kind}, D = {width}"]) for width in WIDTHS))
            for kind in ("local-m", "local-p")
        )
        line = Series(GLOBAL, (estimate(quality[GLOBAL]),) * len(WIDTHS))
        chart = Chart(
            "lines",
            "D: places to each side",
            reading.name,
            tuple(map(float, WIDTHS)),
            (*series, line),
        )
        return Report(columns, rows, chart, self._claims(reading, quality, found), (NOTE,))

    def _claims(self, reading: Reading, quality: dict[str, Any], found: Found) -> tuple[Claim, ...]:
        narrow, wide = (f"local-m, D = {width}" for width in (WIDTHS[0], WIDTHS[-1]))
        predicted = f"local-p, D = {WIDTHS[-1]}"
        return (
            Claim(
                "A window narrower than words move loses quality, a wider one does not.",
                SOURCE,
                (
                    Check(
                        f"({GLOBAL}) better than ({narrow}), {reading.name}",
                        reading.better(quality[GLOBAL], quality[narrow]),
                    ),
                    Check(
                        f"({wide}) better than ({narrow}), {reading.name}",
                        reading.better(quality[wide], quality[narrow]),
                    ),
                ),
            ),
            Claim(
                "On long sentences a window is cheaper than to look everywhere.",
                SOURCE,
                tuple(
                    Check(
                        f"({name}): {what} saved by a step, %",
                        saved(found[f"step, {name}"], found[f"step, {GLOBAL}"], measure),
                    )
                    for name in (wide, predicted)
                    for what, measure in (("time", "milliseconds"), ("memory", "kept_bytes"))
                ),
            ),
        )


def _megabytes(found: Found, name: str) -> float | None:
    results = found[f"step, {name}"]
    return results[0]["kept_bytes"][0] / 1e6 if results else None
