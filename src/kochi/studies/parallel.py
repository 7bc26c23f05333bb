"""Is a step of a Transformer quicker because it does not go word by word?

A step reads the same number of words, in ever fewer and longer sentences, drawn at random from
vocabularies as large as those of the data. Vaswani et al. 2017, section 4 and table 1
(https://arxiv.org/abs/1706.03762): a recurrent layer needs n operations one after the other,
self-attention a constant number, though of n² d work in all where the recurrent layer has n d².
Expected: at a constant number of words the time of the recurrent model grows with the length; that
of the Transformer hardly, until the length comes near the width.
"""

import math

from typing_extensions import override

from kochi.studies import models
from kochi.studies.cells import Cell
from kochi.studies.claims import Claim, Source, Test
from kochi.studies.estimates import Figure, combine
from kochi.studies.reading import TIMED, Reading, estimate, minus, saved
from kochi.studies.report import Chart, Series, Table
from kochi.studies.study import Study
from kochi.studies.task import Draws
from kochi.studies.timed import Step, TimedRound

LENGTHS = (16, 32, 64, 128, 256)
WORDS = 2048
RECURRENT, TRANSFORMER = "recurrent with attention", "Transformer"
MODELS = {RECURRENT: models.bahdanau, TRANSFORMER: models.transformer}
USUAL = 32
VASWANI = "https://arxiv.org/abs/1706.03762"


class Parallel(Study):
    """Time of a training step by length of the sentences, at the same number of words."""

    name = "parallel"
    timing_minutes = 0.4

    @override
    def cells(self, draws: Draws, seed: int) -> dict[str, Cell]:
        size, words = draws.any.size, draws.any.vocabularies
        steps = {
            f"{name}, {length}": Step(model(size), length, WORDS // length, words)
            for name, model in MODELS.items()
            for length in LENGTHS
        }
        return {TIMED: TimedRound(tuple(steps.items()), seed)}

    @override
    def claims(self, draws: Draws) -> tuple[Claim[Reading], ...]:
        here = (
            f"one thread and width {draws.any.size}: what is seen is how many operations follow "
            "one another, not their arithmetic, and nothing of what a GPU does at once."
        )
        return (
            Claim(
                f"With as many words a step ({WORDS:,}), the time of a step of recurrent models "
                "grows more with the length of sentences than that of the Transformer.",
                Source(
                    "Vaswani et al. 2017",
                    "section 4, table 1, column “sequential operations”",
                    "n against 1. The column “complexity per layer” says the opposite: n² d for "
                    "self-attention, n d² for recurrence.",
                    here,
                    VASWANI,
                ),
                (
                    Test(
                        f"log2 of the step time's growth from {LENGTHS[0]} to {LENGTHS[-1]} words, "
                        "recurrent minus Transformer",
                        lambda reading: minus(
                            _log_growth(reading, RECURRENT), _log_growth(reading, TRANSFORMER)
                        ),
                    ),
                ),
            ),
            Claim(
                f"A step of the Transformer takes less time at {USUAL} words a sentence.",
                Source(
                    "Vaswani et al. 2017",
                    "section 7",
                    "it is “trained significantly faster than architectures based on recurrent or "
                    "convolutional layers”; table 2 compares estimated costs of published models.",
                    f"{here} Training faster would be the time to a given quality; a step is less.",
                    VASWANI,
                ),
                (
                    Test(
                        f"time of a step saved at {USUAL} words, %",
                        lambda reading: saved(
                            reading, f"{TRANSFORMER}, {USUAL}", f"{RECURRENT}, {USUAL}"
                        ),
                    ),
                ),
            ),
        )

    @override
    def table(self, reading: Reading) -> Table:
        points = {
            name: [estimate(reading.time(f"{name}, {length}")) for length in LENGTHS]
            for name in MODELS
        }
        rows = [
            (str(length), *(points[name][place] for name in MODELS))
            for place, length in enumerate(LENGTHS)
        ]
        growth = (estimate(_log_growth(reading, name)) for name in MODELS)
        rows.append(("log2 of the growth", *growth))
        columns = ("words of a sentence", *(f"{name}, milliseconds per step" for name in MODELS))
        series = tuple(Series(name, tuple(points[name])) for name in MODELS)
        places = tuple(map(float, LENGTHS))
        label = f"words of a sentence (always {WORDS:,} words a step)"
        chart = Chart("lines", label, "milliseconds per step", places, series, logarithmic=True)
        return Table(columns, tuple(rows), chart)


def _log_growth(reading: Reading, name: str) -> Figure | None:
    """Return the base-2 logarithm of the slowdown of a step from shortest to longest sentences."""
    short, long = (reading.time(f"{name}, {length}") for length in (LENGTHS[0], LENGTHS[-1]))
    if short is None or long is None:
        return None
    return combine(lambda one, other: math.log2(other / one), short, long)
