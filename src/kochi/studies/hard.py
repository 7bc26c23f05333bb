"""Is it better to look at one place, and how is that learned?

Soft attention reads an average, hard attention one place. Xu et al. 2015, section 4.1
(https://arxiv.org/abs/1502.03044) learn it by the Monte-Carlo gradient, with soft attention in half
of the examples to lower the variance; here it is tried without that, too. Deng et al. 2018
(https://arxiv.org/abs/1807.03756) sum over the choice exactly and find that better than soft
attention, and the gain gone where the gradient is sampled; straight-through (Bengio et al.
2013, https://arxiv.org/abs/1308.3432) and Gumbel-softmax (Jang et al. 2017,
https://arxiv.org/abs/1611.01144) take biased gradients that vary less. Expected: the exact sum is
better than soft attention; the Monte-Carlo gradient varies most and learns worst. Gradients are
compared at the same weights, those of the soft model.
"""

from collections.abc import Mapping

from typing_extensions import override

from kochi.studies import models
from kochi.studies.cells import Cell
from kochi.studies.estimates import Estimate, Measured, apart
from kochi.studies.noise import GradientNoise
from kochi.studies.reading import Reading, estimate, minus, numbers
from kochi.studies.report import Chart, Check, Claim, Report, Series
from kochi.studies.study import Found, Study
from kochi.studies.task import Task
from kochi.studies.trained import Trained

MIXED = "Monte-Carlo, half soft"
SELECTIONS = {
    "soft": "soft",
    "Monte-Carlo": "hard",
    MIXED: {"kind": "hard", "expected_share": 0.5},
    "exact marginal": "marginal",
    "Gumbel": "gumbel",
    "straight-through": "straight_through",
}
NOISE = "gradient of {}"
DENG = "Deng et al. 2018, abstract"


class Hard(Study):
    """Soft attention against hard attention, learned in four ways."""

    name = "hard"
    training_minutes = 2.2

    @override
    def cells(self, task: Task, seed: int) -> dict[str, Cell]:
        tables = {
            name: models.luong(task.size, input_feeding=False, score="general", selection=selection)
            for name, selection in SELECTIONS.items()
        }
        cells: dict[str, Cell] = {
            name: Trained(task, table, seed) for name, table in tables.items()
        }
        soft = Trained(task, tables["soft"], seed)
        for name, table in tables.items():
            cells[NOISE.format(name)] = GradientNoise(soft, table)
        return cells

    @override
    def report(self, task: Task, found: Found) -> Report:
        reading = Reading(task)
        quality = {name: reading.quality(found[name]) for name in SELECTIONS}
        nats = {name: reading.nats(found[name]) for name in SELECTIONS}
        errors = {name: reading.alignment_error(found[name]) for name in SELECTIONS}
        noise = {name: numbers(found[NOISE.format(name)], "variance") for name in SELECTIONS}
        by_rows: tuple[ByRows, ...] = quality, nats, errors
        estimated = [{name: estimate(of[name]) for name in SELECTIONS} for of in by_rows]
        rows = tuple((name, *(of[name] for of in estimated), noise[name]) for name in SELECTIONS)
        columns = (
            "selection",
            reading.name,
            "nats a token",
            "alignment error rate, %",
            "variance of the gradient over its squared mean",
        )
        series = (Series(reading.name, tuple(estimated[0].values())),)
        chart = Chart("bars", "selection", reading.name, tuple(SELECTIONS), series)
        claims = [*_against_soft(reading, quality, nats), _noisier(noise)]
        if any(errors.values()):
            claims.append(_points_better(errors))
        return Report(columns, rows, chart, tuple(claims))


ByRows = Mapping[str, Measured | None]


def _against_soft(reading: Reading, quality: ByRows, nats: ByRows) -> list[Claim]:
    def ahead(first: str, second: str) -> tuple[Check, Check]:
        better = reading.better(quality[first], quality[second])
        likelier = minus(nats[second], nats[first])
        return (
            Check(f"{first} better than {second}, {reading.name}", better),
            Check(f"{second} less {first}, nats a token", likelier),
        )

    return [
        Claim(
            "Summed exactly, hard attention is better than soft attention.",
            DENG,
            ahead("exact marginal", "soft"),
        ),
        Claim(
            "The Monte-Carlo gradient learns worse than the exact sum.",
            DENG,
            ahead("exact marginal", "Monte-Carlo"),
        ),
    ]


def _noisier(noise: Mapping[str, Estimate | None]) -> Claim:
    checks = (
        Check(
            f"Monte-Carlo less {name}, relative variance", apart(noise["Monte-Carlo"], noise[name])
        )
        for name in ("Gumbel", "straight-through", "exact marginal")
    )
    said = "The Monte-Carlo gradient varies more than the others."
    return Claim(said, "Jang et al. 2017", tuple(checks))


def _points_better(errors: ByRows) -> Claim:
    checks = (
        Check(f"AER: soft less {name}, points", minus(errors["soft"], errors[name]))
        for name in ("exact marginal", "Monte-Carlo")
    )
    said = "Hard attention points better than soft attention."
    return Claim(said, "no paper: a hope that is put to the test here", tuple(checks))
