"""Does attention keep long sentences from getting worse?

Models are trained on sentences up to a length and tested on such and on longer ones. Expected: the
quality of the fixed vector falls with the length, since one vector must hold the whole sentence;
that of attention falls less (Bahdanau et al. 2015, section 5.1 and figure 2,
https://arxiv.org/abs/1409.0473). A Transformer reads long sentences as well, but positions beyond
those of its training are new to it.
"""

from collections.abc import Sequence
from pathlib import Path

from typing_extensions import override

from kochi.data.pairs import read_pairs
from kochi.studies import models
from kochi.studies.cells import Cell, Result
from kochi.studies.estimates import Measured
from kochi.studies.reading import Reading, estimate
from kochi.studies.report import Chart, Check, Claim, Report, Series
from kochi.studies.study import Found, Study
from kochi.studies.task import LONGEST, Task
from kochi.studies.trained import Trained

MODELS = {
    "fixed vector": models.plain,
    "attention": models.bahdanau,
    "Transformer": models.transformer,
}
FEWEST = 20  # test pairs that a range of lengths must have to be shown
SOURCE = "Bahdanau et al. 2015, section 5.1 and figure 2"


class Focus(Study):
    """Quality by source length, for the fixed vector, attention and the Transformer."""

    name = "focus"
    training_minutes = 1.8

    @override
    def cells(self, task: Task, seed: int) -> dict[str, Cell]:
        limit = _trained_length(task)
        longest = None if task.long_test is not None else limit
        return {
            name: Trained(task, model(task.size), seed, task.long_test, longest)
            for name, model in MODELS.items()
        }

    @override
    def report(self, task: Task, found: Found) -> Report:
        reading, limit = Reading(task, task.long_test), _trained_length(task)
        ranges = _ranges(_lengths(found), limit)
        quality = {
            name: [_of_range(reading, found[name], rows) for rows in ranges.values()]
            for name in MODELS
        }
        series = tuple(
            Series(name, tuple(map(estimate, points))) for name, points in quality.items()
        )
        label = f"source words (trained up to about {limit})"
        rows = tuple(
            (place, len(chosen), *(one.points[number] for one in series))
            for number, (place, chosen) in enumerate(ranges.items())
        )
        chart = Chart("bars", label, reading.name, tuple(ranges), series)
        columns = ("source words", "test pairs", *(f"{name}, {reading.name}" for name in MODELS))
        return Report(columns, rows, chart, _claims(reading, found, limit))


def _claims(reading: Reading, found: Found, limit: int) -> tuple[Claim, ...]:
    lengths = _lengths(found)
    short = [place for place, length in enumerate(lengths) if length <= limit]
    long = [place for place, length in enumerate(lengths) if length > limit]

    def ahead(first: str, second: str, rows: list[int]) -> Check:
        ranges = "longer ones" if rows is long else "trained lengths"
        parts = [_of_range(reading, found[name], rows) for name in (first, second)]
        statement = f"{first} better than {second} on {ranges}, {reading.name}"
        return Check(statement, reading.better(*parts))

    return (
        Claim(
            "Attention keeps long sentences from getting worse, where one fixed vector does not.",
            SOURCE,
            (ahead("attention", "fixed vector", short), ahead("attention", "fixed vector", long)),
        ),
        Claim(
            "Recurrent attention goes beyond the trained lengths better than a Transformer with "
            "sinusoidal positions.",
            "Neishi and Yoshinaga 2019, https://aclanthology.org/K19-1031",
            (ahead("attention", "Transformer", long),),
        ),
    )


def _of_range(reading: Reading, results: Sequence[Result], rows: list[int]) -> Measured | None:
    measured = reading.quality(results)
    return measured.of_rows(rows) if measured is not None and rows else None


def _lengths(found: Found) -> list[int]:
    return next((results[0]["source_lengths"] for results in found.values() if results), [])


def _ranges(lengths: list[int], limit: int) -> dict[str, list[int]]:
    """Sort the test pairs by length, in steps of half the trained length."""
    step = max(1, limit // 2)
    ranges: dict[str, list[int]] = {}
    for start in range(1, max(lengths, default=0) + 1, step):
        end = start + step - 1
        rows = [place for place, length in enumerate(lengths) if start <= length <= end]
        if len(rows) >= FEWEST:
            ranges[f"{start}-{end}"] = rows
    return ranges


def _trained_length(task: Task) -> int:
    """Where training stops: of the user's own data the three shorter fifths are trained on."""
    if task.long_test is not None:
        return LONGEST
    return _three_fifths(task.run.data.folder, task)


def _three_fifths(folder: Path, task: Task) -> int:
    lengths = sorted(len(pair.source.split()) for pair in read_pairs(task.run.data, "train"))
    return lengths[min(len(lengths) - 1, 3 * len(lengths) // 5)]
