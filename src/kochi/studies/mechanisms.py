"""Which score and which scope serve best?

Luong et al. 2015, section 5.3 and table 4 (https://arxiv.org/abs/1508.04025), trained eight of
these cells once each, on English to German, and left the others empty (concat stands there for
what is called additive here). Expected: local-p with the general score is best; the location score,
which does not look at the source, is worst; local models align better (table 6).
"""

from typing_extensions import override

from kochi.studies import models
from kochi.studies.cells import Cell
from kochi.studies.estimates import Measured
from kochi.studies.reading import Reading, estimate, minus
from kochi.studies.report import Chart, Check, Claim, Report, Series
from kochi.studies.study import Found, Study
from kochi.studies.task import Task
from kochi.studies.trained import Trained

SCORES = ("location", "dot", "general", "additive")
SCOPES = {"global": "global", "local-m": "local_m", "local-p": "local_p"}
BEST = "general, local-p"
SOURCE = "Luong et al. 2015, section 5.3, table 4"


class Mechanisms(Study):
    """Every score with every scope, in Luong's order with input feeding."""

    name = "mechanisms"
    training_minutes = 6.0

    @override
    def cells(self, task: Task, seed: int) -> dict[str, Cell]:
        return {
            f"{score}, {scope}": Trained(
                task, models.luong(task.size, score=score, scope=kind), seed
            )
            for score in SCORES
            for scope, kind in SCOPES.items()
        }

    @override
    def report(self, task: Task, found: Found) -> Report:
        reading = Reading(task)
        quality = {label: reading.quality(results) for label, results in found.items()}
        errors = {label: reading.alignment_error(results) for label, results in found.items()}
        rows = tuple((label, estimate(quality[label]), estimate(errors[label])) for label in found)
        series = tuple(
            Series(scope, tuple(estimate(quality[f"{score}, {scope}"]) for score in SCORES))
            for scope in SCOPES
        )
        chart = Chart("bars", "score", reading.name, SCORES, series)
        columns = ("score, scope", reading.name, "alignment error rate, %")
        return Report(columns, rows, chart, _claims(reading, quality, errors))


Figures = dict[str, Measured | None]


def _claims(reading: Reading, quality: Figures, errors: Figures) -> tuple[Claim, ...]:
    def ahead(first: str, second: str) -> Check:
        found = reading.better(quality[first], quality[second])
        return Check(f"({first}) better than ({second}), {reading.name}", found)

    def aligns(score: str, scope: str) -> Check:
        found = minus(errors[f"{score}, global"], errors[f"{score}, {scope}"])
        return Check(f"AER of {score}: global less {scope}, points", found)

    claims = [
        Claim(
            "Local-p with the general score is the best of the grid.",
            SOURCE,
            tuple(ahead(BEST, label) for label in quality if label != BEST),
        ),
        Claim(
            "The location score, which does not look at the source, is worse than those that do.",
            SOURCE,
            tuple(
                ahead(f"{score}, global", "location, global")
                for score in SCORES
                if score != "location"
            ),
        ),
    ]
    if any(errors.values()):
        scopes = [
            (score, scope) for score in ("general", "dot") for scope in ("local-m", "local-p")
        ]
        claims.append(
            Claim(
                "Local attention aligns better than global attention.",
                "Luong et al. 2015, section 5.4, table 6",
                tuple(aligns(*pair) for pair in scopes),
            )
        )
    return tuple(claims)
