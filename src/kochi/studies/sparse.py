"""Do sparse selections cost anything?

Sparsemax (Martins and Astudillo 2016, https://arxiv.org/abs/1602.02068) and entmax-1.5 (Peters et
al. 2019, https://arxiv.org/abs/1905.05702) give most positions a weight of exactly 0. Expected: the
quality is that of the softmax or better, sparsemax attends to fewer positions than entmax-1.5, and
a step takes a little longer.
"""

from typing_extensions import override

from kochi.studies import models
from kochi.studies.cells import Cell
from kochi.studies.claims import Claim, Range, Source, Test
from kochi.studies.reading import TIMED, Reading, advantage, estimate, minus
from kochi.studies.report import Chart, Series, Table
from kochi.studies.study import Study
from kochi.studies.task import Draws
from kochi.studies.timed import NOTE, Step, TimedRound
from kochi.studies.trained import tuned

SOFTMAX, ENTMAX, SPARSEMAX = "softmax", "entmax-1.5", "sparsemax"
SELECTIONS = {SOFTMAX: "soft", ENTMAX: "entmax15", SPARSEMAX: "sparsemax"}
LENGTH, BATCH = 24, 32
MARGIN = 1.0  # what counts as no worse, in points of the metric
PETERS = "https://arxiv.org/abs/1905.05702"
MARTINS = "https://arxiv.org/abs/1602.02068"


class Sparse(Study):
    """Softmax, entmax and sparsemax: quality, attended positions, time of a step."""

    name = "sparse"
    training_minutes = 1.5
    timing_minutes = 0.1

    @override
    def cells(self, draws: Draws, seed: int) -> dict[str, Cell]:
        tables = {
            name: models.luong(draws.any.size, score="general", selection=selection)
            for name, selection in SELECTIONS.items()
        }
        steps = tuple((name, Step(table, LENGTH, BATCH)) for name, table in tables.items())
        cells: dict[str, Cell] = {name: tuned(draws, tables[name], seed) for name in tables}
        return {**cells, TIMED: TimedRound(steps, seed)}

    @override
    def claims(self, draws: Draws) -> tuple[Claim[Reading], ...]:
        return (
            Claim(
                f"Attention by entmax-1.5 is at most {MARGIN:g} point worse than by softmax.",
                Source(
                    "Peters et al. 2019",
                    "abstract",
                    "“consistent gains over dense models”, with sparse attention and a sparse "
                    "output layer.",
                    "only attention is sparse; the margin is ours.",
                    PETERS,
                ),
                (advantage(ENTMAX, SOFTMAX, draws.quality, Range(-MARGIN)),),
            ),
            Claim(
                f"Attention by sparsemax is as good as by softmax, within {MARGIN:g} point, after "
                "as many steps.",
                Source(
                    "Martins and Astudillo 2016",
                    "abstract",
                    "“a similar performance as the traditional softmax”, on natural language "
                    "inference alone.",
                    "the paper did not try to write anything; training takes minutes.",
                    MARTINS,
                ),
                (advantage(SPARSEMAX, SOFTMAX, draws.quality, Range(-MARGIN, MARGIN)),),
            ),
            Claim(
                "In trained models sparsemax attends to fewer positions than entmax-1.5.",
                Source(
                    "Peters et al. 2019",
                    "introduction",
                    "both are one family, in which a higher alpha is sparser on the same scores.",
                    "each model has learned scores of its own, which can undo that.",
                    PETERS,
                ),
                (
                    Test(
                        f"non-zero weights per target word, {ENTMAX} minus {SPARSEMAX}",
                        lambda reading: minus(reading.places(ENTMAX), reading.places(SPARSEMAX)),
                    ),
                ),
            ),
        )

    @override
    def table(self, reading: Reading) -> Table:
        quality = reading.draws.quality
        rows = tuple(
            (
                name,
                estimate(reading.quality(name)),
                estimate(reading.alignment_error(name)),
                estimate(reading.places(name)),
                estimate(reading.zeros(name)),
                estimate(reading.in_equal_time(name, list(SELECTIONS))),
                estimate(reading.time(name)),
            )
            for name in SELECTIONS
        )
        columns = (
            "selection",
            quality,
            "alignment error rate, %",
            "non-zero weights per target word",
            "zero weights, %",
            f"dev {quality} in equal time",
            "milliseconds per step",
        )
        series = (Series(quality, tuple(estimate(reading.quality(name)) for name in SELECTIONS)),)
        chart = Chart("bars", "selection", quality, tuple(SELECTIONS), series)
        return Table(columns, rows, chart, (NOTE,))
