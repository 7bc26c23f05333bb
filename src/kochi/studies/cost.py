"""What does attention cost, and what does each mechanism?

The decoder with a fixed vector reads it at each step, where that of Bahdanau reads what it looked
at; else they are the same. Both are asked for training steps on random sentences of several
lengths, with vocabularies as large as those of the data; the mechanisms stand in Luong's order
without input feeding, which looks for all words at once. Nothing is learned here, so models are
four times as wide as those of the studies that train: in narrower ones the fixed cost of each
operation says more than its length. Expected: every target word is compared with every source
word, so what attention adds grows with the product of the lengths and the rest with their sum; for
sentences of 15 to 40 words this is not severe (Bahdanau et al. 2015, section 6.1,
https://arxiv.org/abs/1409.0473).
"""

from collections.abc import Callable
from typing import Any

from typing_extensions import override

from kochi.studies import models
from kochi.studies.cells import Cell
from kochi.studies.estimates import Estimate, apart, exponent, of_rounds
from kochi.studies.reading import numbers, rounds
from kochi.studies.report import Chart, Check, Claim, Report, Series, Value
from kochi.studies.study import Found, Study
from kochi.studies.task import Task
from kochi.studies.timed import StepCost

LENGTHS = (8, 16, 32, 64, 128)
BATCH, USUAL, WIDER = 16, 32, 4
PLAIN, ATTENTION = "fixed vector", "Bahdanau's attention"
MECHANISMS: dict[str, dict[str, Any]] = {
    "dot": {"score": "dot"},
    "general": {"score": "general"},
    "additive": {"score": "additive"},
    "location": {"score": "location"},
    "location-aware": {"score": "location_aware"},
    "general, local-m": {"score": "general", "scope": "local_m"},
    "general, local-p": {"score": "general", "scope": "local_p"},
    "general, coverage": {"score": "general", "scope": "coverage"},
    "general, sparsemax": {"score": "general", "selection": "sparsemax"},
    "general, entmax-1.5": {"score": "general", "selection": "entmax15"},
    "general, Monte-Carlo": {"score": "general", "selection": "hard"},
    "general, exact marginal": {"score": "general", "selection": "marginal"},
    "general, monotonic": {"score": "general", "selection": "monotonic"},
}
SOURCE = "Bahdanau et al. 2015, section 6.1"


class Cost(Study):
    """Parameters, memory and time of a step, by length and by mechanism."""

    name = "cost"
    timing_minutes = 0.4

    @override
    def cells(self, task: Task, seed: int) -> dict[str, Cell]:
        size, words = WIDER * task.size, task.vocabularies
        plain = models.one_way(models.plain(size))
        additive = models.one_way(models.bahdanau(size))
        cells: dict[str, Cell] = {}
        for length in LENGTHS:
            cells[f"{PLAIN}, {length}"] = StepCost(plain, length, BATCH, seed, words)
            cells[f"{ATTENTION}, {length}"] = StepCost(additive, length, BATCH, seed, words)
        for name, parts in MECHANISMS.items():
            model = models.luong(size, input_feeding=False, **parts)
            cells[name] = StepCost(model, USUAL, BATCH, seed, words)
        return cells

    @override
    def report(self, task: Task, found: Found) -> Report:
        labels = [f"{kind}, {length}" for length in LENGTHS for kind in (PLAIN, ATTENTION)]
        rows = [_row(label, found, int(label.rpartition(" ")[2])) for label in labels]
        rows += [_row(name, found, USUAL) for name in MECHANISMS]
        columns = (
            "model, words",
            "parameters",
            "MB kept by a step",
            "milliseconds a step",
            "against the fixed vector, times",
        )
        series = tuple(
            Series(
                kind,
                tuple(numbers(found[f"{kind}, {length}"], "milliseconds") for length in LENGTHS),
            )
            for kind in (PLAIN, ATTENTION)
        )
        places = tuple(map(float, LENGTHS))
        source, target = task.vocabularies
        chart = Chart("lines", "words", "milliseconds a step", places, series, logarithmic=True)
        notes = (
            f"Mechanisms are measured at {USUAL} words; {BATCH} sentences a step, one thread.",
            f"The vocabularies of the data have {source:,} and {target:,} tokens; the larger the "
            "output layer, the less is attention's share.",
            "Memory is that of the kernels chosen: some compute again what they do not keep.",
        )
        return Report(columns, tuple(rows), chart, _claims(found), notes)


def _row(label: str, found: Found, length: int) -> tuple[Value, ...]:
    results, plain = found[label], found[f"{PLAIN}, {length}"]
    if not results or not plain:
        return (label, None, None, None, None)
    times = zip(rounds(results, "milliseconds"), rounds(plain, "milliseconds"), strict=False)
    ratios = [one / other for one, other in times]
    kept = results[0]["kept_bytes"][0] / 1e6
    return (
        label,
        results[0]["parameters"],
        kept,
        numbers(results, "milliseconds"),
        of_rounds(ratios),
    )


def _claims(found: Found) -> tuple[Claim, ...]:
    added = _fit(found, lambda plain, other: other - plain)
    grows = apart(added, _fit(found, lambda plain, other: plain))
    return (
        Claim(
            "What attention adds grows faster with the length than all the rest.",
            SOURCE,
            (Check("exponent of the time added less that of the rest", grows),),
        ),
        Claim(
            "For sentences of usual length this is not severe: a step takes less than twice as "
            "long (a bound of ours, the paper gives none).",
            SOURCE,
            (
                Check(_spare_text("looking word by word"), _spare(found, f"{ATTENTION}, {USUAL}")),
                Check(_spare_text("looking for all words at once"), _spare(found, "additive")),
            ),
        ),
    )


def _spare_text(how: str) -> str:
    return f"{how}: what is left to twice the time at {USUAL} words, %"


def _spare(found: Found, label: str) -> Estimate | None:
    usual = (rounds(found[one], "milliseconds") for one in (f"{PLAIN}, {USUAL}", label))
    spare = [200.0 - 100.0 * two / one for one, two in zip(*usual, strict=False)]
    return of_rounds(spare) if spare else None


def _fit(found: Found, number: Callable[[float, float], float]) -> Estimate | None:
    """Fit the exponent of a number made of the times without and with attention."""
    columns = []
    for length in LENGTHS:
        times = [rounds(found[f"{kind}, {length}"], "milliseconds") for kind in (PLAIN, ATTENTION)]
        columns.append([number(*pair) for pair in zip(*times, strict=False)])
    count = min(map(len, columns))
    if not count or min(value for column in columns for value in column) <= 0:
        return None
    return exponent(LENGTHS, [[column[one] for column in columns] for one in range(count)])
