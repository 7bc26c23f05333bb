"""Do sparse selections cost anything?

Sparsemax (Martins and Astudillo 2016, https://arxiv.org/abs/1602.02068) and entmax-1.5 (Peters et
al. 2019, https://arxiv.org/abs/1905.05702) give most places a weight of exactly 0. Expected: the
quality is that of the softmax or better, most weights are 0 (of sparsemax more than of entmax),
and a step takes a little longer.
"""

from typing_extensions import override

from kochi.studies import models
from kochi.studies.cells import Cell
from kochi.studies.estimates import Estimate
from kochi.studies.reading import Reading, estimate, minus, numbers
from kochi.studies.report import Chart, Check, Claim, Report, Series
from kochi.studies.study import Found, Study
from kochi.studies.task import Task
from kochi.studies.timed import NOTE, StepCost
from kochi.studies.trained import Trained

SELECTIONS = {"softmax": "soft", "entmax-1.5": "entmax15", "sparsemax": "sparsemax"}
LENGTH, BATCH = 24, 32
MARGIN = 1.0  # what counts as no worse, in points of the metric
PETERS = "Peters et al. 2019"
STEP = "step of {}"


class Sparse(Study):
    """Softmax, entmax and sparsemax: quality, exact zeros, time of a step."""

    name = "sparse"
    training_minutes = 1.5
    timing_minutes = 0.1

    @override
    def cells(self, task: Task, seed: int) -> dict[str, Cell]:
        cells: dict[str, Cell] = {}
        for name, selection in SELECTIONS.items():
            model = models.luong(task.size, score="general", selection=selection)
            cells[name] = Trained(task, model, seed)
            cells[STEP.format(name)] = StepCost(model, LENGTH, BATCH, seed)
        return cells

    @override
    def report(self, task: Task, found: Found) -> Report:
        reading = Reading(task)
        quality = {name: reading.quality(found[name]) for name in SELECTIONS}
        zeros = {name: reading.zeros(found[name]) for name in SELECTIONS}
        times = {name: numbers(found[STEP.format(name)], "milliseconds") for name in SELECTIONS}
        rows = tuple(
            (
                name,
                estimate(quality[name]),
                estimate(reading.alignment_error(found[name])),
                estimate(zeros[name]),
                times[name],
            )
            for name in SELECTIONS
        )
        columns = (
            "selection",
            reading.name,
            "alignment error rate, %",
            "weights that are 0, %",
            "milliseconds a step",
        )
        series = (
            Series("weights that are 0", tuple(estimate(zeros[name]) for name in SELECTIONS)),
        )
        chart = Chart("bars", "selection", "weights that are 0, %", tuple(SELECTIONS), series)

        def no_worse(name: str) -> Check:
            return Check(
                f"{name} at most {MARGIN:g} worse than softmax: difference and {MARGIN:g}, "
                f"{reading.name}",
                _plus(reading.better(quality[name], quality["softmax"]), MARGIN),
            )

        claims = (
            Claim("Entmax-1.5 loses no quality.", PETERS, (no_worse("entmax-1.5"),)),
            Claim(
                "Sparsemax is about as good as softmax.",
                "Martins and Astudillo 2016, abstract",
                (no_worse("sparsemax"),),
            ),
            Claim(
                "Sparsemax makes more weights 0 than entmax-1.5, which makes more than softmax.",
                "Peters et al. 2019",
                (
                    Check(
                        "entmax-1.5 less softmax, points",
                        minus(zeros["entmax-1.5"], zeros["softmax"]),
                    ),
                    Check(
                        "sparsemax less entmax-1.5, points",
                        minus(zeros["sparsemax"], zeros["entmax-1.5"]),
                    ),
                ),
            ),
        )
        return Report(columns, rows, chart, claims, (NOTE,))


def _plus(found: Estimate | None, number: float) -> Estimate | None:
    if found is None:
        return None
    return Estimate(found.value + number, found.low + number, found.high + number, found.count)
