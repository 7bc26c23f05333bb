"""Does a Transformer train faster because it does not go word by word?

A step reads the same number of words, in ever fewer and longer sentences, drawn at random from
vocabularies as large as those of the data. Vaswani et al. 2017, section 4 and table 1
(https://arxiv.org/abs/1706.03762): a recurrent layer needs n operations one after the other,
self-attention a constant number, of which each costs n times as much. Expected: at a constant
number of words the time of the recurrent model grows with the length; that of the Transformer
hardly, until the length comes near the width.
"""

from typing_extensions import override

from kochi.studies import models
from kochi.studies.cells import Cell
from kochi.studies.estimates import Estimate, apart, exponent
from kochi.studies.reading import numbers, rounds, saved
from kochi.studies.report import Chart, Check, Claim, Report, Series
from kochi.studies.study import Found, Study
from kochi.studies.task import Task
from kochi.studies.timed import StepCost

LENGTHS = (16, 32, 64, 128, 256)
WORDS = 2048
RECURRENT, TRANSFORMER = "recurrent with attention", "Transformer"
MODELS = {RECURRENT: models.bahdanau, TRANSFORMER: models.transformer}
USUAL = 32
SOURCE = "Vaswani et al. 2017, section 4, table 1"


class Parallel(Study):
    """Time of a training step by length, with fitted exponents."""

    name = "parallel"
    timing_minutes = 0.5

    @override
    def cells(self, task: Task, seed: int) -> dict[str, Cell]:
        words = task.vocabularies
        return {
            f"{name}, {length}": StepCost(model(task.size), length, WORDS // length, seed, words)
            for name, model in MODELS.items()
            for length in LENGTHS
        }

    @override
    def report(self, task: Task, found: Found) -> Report:
        points = {
            name: [numbers(found[f"{name}, {length}"], "milliseconds") for length in LENGTHS]
            for name in MODELS
        }
        fits = {name: _fit(found, name) for name in MODELS}
        rows = [
            (str(length), *(points[name][place] for name in MODELS))
            for place, length in enumerate(LENGTHS)
        ]
        rows.append(("exponent", *fits.values()))
        columns = ("words of a sentence", *(f"{name}, milliseconds a step" for name in MODELS))
        series = tuple(Series(name, tuple(points[name])) for name in MODELS)
        places = tuple(map(float, LENGTHS))
        label = "words of a sentence (always 2,048 words a step)"
        chart = Chart("lines", label, "milliseconds a step", places, series, logarithmic=True)
        notes = (
            "One thread computes: what many cores or a GPU could do at once is not seen here.",
        )
        return Report(columns, tuple(rows), chart, _claims(found, fits), notes)


def _claims(found: Found, fits: dict[str, Estimate | None]) -> tuple[Claim, ...]:
    grows = apart(fits[RECURRENT], fits[TRANSFORMER])
    fast_ones, slow_ones = (found[f"{name}, {USUAL}"] for name in (TRANSFORMER, RECURRENT))
    faster = saved(fast_ones, slow_ones, "milliseconds")
    return (
        Claim(
            "The time of recurrent models grows faster with the length than the Transformer's.",
            SOURCE,
            (Check("exponent of the recurrent model less that of the Transformer", grows),),
        ),
        Claim(
            "The Transformer trains faster at the length of sentences.",
            SOURCE,
            (Check(f"time of a step saved at {USUAL} words, %", faster),),
        ),
    )


def _fit(found: Found, name: str) -> Estimate | None:
    columns = [rounds(found[f"{name}, {length}"], "milliseconds") for length in LENGTHS]
    count = min(map(len, columns))
    if not count:
        return None
    return exponent(LENGTHS, [[column[one] for column in columns] for one in range(count)])
