"""Which attention holds on speech that is longer than anything in training?

Models are trained on single utterances and tested on as many test utterances joined to one: 1, 2,
5, 10. Expected: attention that knows the content alone (Bahdanau et al. 2015) confuses places that
sound alike and fails soon beyond the lengths of its training; attention that also knows where it
looked before (location-aware) holds much longer (Chorowski et al. 2015,
https://arxiv.org/abs/1506.07503, who join utterances of TIMIT), also where its weights are smoothed
(section 2.3 there). With --data the model is the run file's own, but for its attention.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from kochi import config
from kochi.errors import UserError
from kochi.studies.cells import Cell, Result
from kochi.studies.estimates import Measured, apart
from kochi.studies.joined import FACTORS, Joined
from kochi.studies.reading import Reading, estimate
from kochi.studies.report import Chart, Check, Claim, Report, Series
from kochi.studies.study import Found, Study
from kochi.studies.task import Task, spoken

CONTENT, LOCATION, SMOOTHED = "content-only", "location-aware", "location-aware, smoothed"
ATTENTIONS: dict[str, dict[str, Any]] = {
    CONTENT: {"score": "additive"},
    LOCATION: {"score": "location_aware"},
    SMOOTHED: {"score": "location_aware", "selection": "smoothed"},
}
SOURCE = "Chorowski et al. 2015"


class LongSpeech(Study):
    """Errors on joined utterances, by attention."""

    name = "long-speech"
    reads = ("speech",)
    training_minutes = 1.0

    @override
    def default(self, folder: Path, size: int) -> Task:
        return spoken(folder / "speech", size)

    @override
    def check(self, task: Task) -> None:
        super().check(task)
        if not isinstance(task.run.model, config.RnnModel):
            raise UserError(
                f"{task.name}: the model is of kind {task.run.model.kind!r}; {self.name} changes "
                "the attention of one of kind 'rnn'"
            )

    @override
    def cells(self, task: Task, seed: int) -> dict[str, Cell]:
        return {name: Joined(task, _model(task, parts), seed) for name, parts in ATTENTIONS.items()}

    @override
    def report(self, task: Task, found: Found) -> Report:
        reading = Reading(task)
        errors = {
            name: {factor: _errors(reading, found[name], factor) for factor in FACTORS}
            for name in ATTENTIONS
        }
        rows = tuple(
            (name, *(estimate(errors[name][factor]) for factor in FACTORS)) for name in ATTENTIONS
        )
        columns = ("attention", *(f"{reading.name}, {factor} joined" for factor in FACTORS))
        series = tuple(
            Series(name, tuple(estimate(errors[name][factor]) for factor in FACTORS))
            for name in ATTENTIONS
        )
        label = "utterances joined (trained on single ones)"
        chart = Chart("bars", label, reading.name, tuple(map(str, FACTORS)), series)
        return Report(columns, rows, chart, _claims(reading, errors), _notes(found))


def _model(task: Task, attention: dict[str, Any]) -> dict[str, Any]:
    model = task.run.model.model_dump(mode="json", exclude_none=True)
    return model | {"attention": attention}


Errors = dict[str, dict[int, Measured | None]]


def _claims(reading: Reading, errors: Errors) -> tuple[Claim, ...]:
    longer = FACTORS[1:]

    def ahead(first: str, factor: int) -> Check:
        better = reading.better(errors[first][factor], errors[CONTENT][factor])
        return Check(f"{first} better than {CONTENT}, {factor} joined, {reading.name}", better)

    def worse(factor: int) -> Check:
        joined, single = errors[CONTENT][factor], errors[CONTENT][1]
        return Check(
            f"{CONTENT}: errors on {factor} joined less those on single ones, {reading.name}",
            apart(estimate(joined), estimate(single)),
        )

    return (
        Claim(
            "Content-only attention does not hold on speech longer than that of its training.",
            SOURCE,
            tuple(worse(factor) for factor in longer),
        ),
        Claim(
            "Location-aware attention makes fewer errors there.",
            SOURCE,
            tuple(ahead(LOCATION, factor) for factor in longer),
        ),
        Claim(
            "So does location-aware attention with smoothed weights.",
            SOURCE,
            tuple(ahead(SMOOTHED, factor) for factor in longer),
        ),
    )


def _errors(reading: Reading, results: Sequence[Result], factor: int) -> Measured | None:
    """Count the errors on utterances that are joined of so many; None where none are."""
    if not results or not results[0]["answers"][str(factor)]:
        return None
    pairs = reading.pairs
    groups = results[0]["groups"][str(factor)]
    references = [[" ".join(pairs[place].references[0] for place in group)] for group in groups]
    answers = [result["answers"][str(factor)] for result in results]
    return reading.measure(answers, references)


def _notes(found: Found) -> tuple[str, ...]:
    results = next((results for results in found.values() if results), None)
    if results is None:
        return ()
    counts = results[0]["groups"]
    shown = ", ".join(f"{len(counts[str(factor)])} of {factor}" for factor in FACTORS)
    return (f"Joined test utterances: {shown}. Intervals draw these again, and seeds.",)
