"""Which attention holds on speech that is longer than anything in training?

Models are trained on single utterances and tested on as many test utterances joined to one: 1, 2,
5, 10. Expected: attention that knows the content alone (Bahdanau et al. 2015) confuses positions
that sound alike and fails soon beyond the lengths of its training; attention that also knows where
it attended before (location-aware) holds much longer (Chorowski et al. 2015,
https://arxiv.org/abs/1506.07503), and smoothed weights help on single utterances (abstract there).
With --data the model is the run file's own, but for its attention.
"""

from pathlib import Path
from typing import Any

from typing_extensions import override

from kochi import config
from kochi.errors import UserError
from kochi.studies.cells import Cell
from kochi.studies.claims import Claim, Range, Source, Test
from kochi.studies.estimates import Figure
from kochi.studies.joined import FACTORS, Joined
from kochi.studies.reading import Found, JoinedReading, estimate, minus
from kochi.studies.report import Chart, Series, Table
from kochi.studies.study import Study
from kochi.studies.task import Draws, spoken
from kochi.studies.trained import tuned

CONTENT, LOCATION, SMOOTHED = "content-only", "location-aware", "location-aware, smoothed"
ATTENTIONS: dict[str, dict[str, Any]] = {
    CONTENT: {"score": "additive"},
    LOCATION: {"score": "location_aware"},
    SMOOTHED: {"score": "location_aware", "selection": "smoothed"},
}
MARGIN = 5.0  # what counts as holding, in points of the metric
CHOROWSKI = "https://arxiv.org/abs/1506.07503"
MADE = (
    "few words follow each other in any order, so that by design only the position tells one "
    "occurrence of a word from the next; other utterances and voices are joined, where the paper's "
    "figure is of repeated ones."
)


class LongSpeech(Study):
    """Errors on joined utterances, by attention."""

    name = "long-speech"
    reads = ("audio", "features")
    training_minutes = 1.0

    @override
    def default(self, folder: Path, size: int) -> Draws:
        return spoken(folder / "speech", size)

    @override
    def check(self, draws: Draws) -> None:
        super().check(draws)
        model = draws.any.run.model
        if not isinstance(model, config.RnnModel):
            raise UserError(
                f"{draws.name}: the model is of kind {model.kind!r}; {self.name} changes the "
                "attention of one of kind 'rnn'"
            )

    @override
    def cells(self, draws: Draws, seed: int) -> dict[str, Cell]:
        return {
            name: tuned(draws, _model(draws, parts), seed, kind=Joined)
            for name, parts in ATTENTIONS.items()
        }

    @override
    def reading(self, draws: Draws, found: Found) -> JoinedReading:
        return JoinedReading(draws, found)

    @override
    def claims(self, draws: Draws) -> tuple[Claim[JoinedReading], ...]:
        quality = draws.quality

        def rise(reading: JoinedReading, name: str, factor: int) -> Figure | None:
            return minus(reading.errors(name, factor), reading.errors(name, 1))

        def rises(name: str, factor: int, claimed: Range) -> Test[JoinedReading]:
            return Test(
                f"errors of {name}, {factor} joined minus single ones, {quality}",
                lambda reading: rise(reading, name, factor),
                claimed,
            )

        longer, most = FACTORS[1:], FACTORS[-1]
        paper = "Chorowski et al. 2015"
        return (
            Claim(
                "Content-only attention makes more errors on speech longer than that of its "
                "training.",
                Source(
                    paper,
                    "abstract",
                    "it “can only be applied to utterances which are roughly as long as the ones "
                    "it was trained on”.",
                    MADE,
                    CHOROWSKI,
                ),
                tuple(rises(CONTENT, factor, Range(0.0)) for factor in longer),
            ),
            Claim(
                f"Location-aware attention makes at most {MARGIN:g} points more errors on {most} "
                "joined utterances.",
                Source(
                    paper,
                    "abstract",
                    "18 % errors in single utterances, 20 % in ten times longer, repeated ones.",
                    f"the margin is ours; {MADE}",
                    CHOROWSKI,
                ),
                (rises(LOCATION, most, Range(high=MARGIN)),),
            ),
            Claim(
                "There the errors of location-aware attention rise less than those of content-only "
                "attention.",
                Source(paper, "abstract", "as above.", MADE, CHOROWSKI),
                tuple(
                    Test(
                        f"rise of errors, {CONTENT} minus {LOCATION}, {factor} joined, {quality}",
                        lambda reading, factor=factor: minus(
                            rise(reading, CONTENT, factor), rise(reading, LOCATION, factor)
                        ),
                    )
                    for factor in longer
                ),
            ),
            Claim(
                "On single utterances smoothed weights make fewer errors than location-aware "
                "attention without.",
                Source(
                    paper,
                    "abstract",
                    "smoothing “further reduces” errors from 18 % to 17.6 %.",
                    "utterances of a second, few words.",
                    CHOROWSKI,
                ),
                (
                    Test(
                        f"errors, {LOCATION} minus {SMOOTHED}, {quality}",
                        lambda reading: minus(
                            reading.errors(LOCATION, 1), reading.errors(SMOOTHED, 1)
                        ),
                    ),
                ),
            ),
        )

    @override
    def table(self, reading: JoinedReading) -> Table:
        quality = reading.draws.quality
        errors = {
            name: tuple(estimate(reading.joined(name, factor)) for factor in FACTORS)
            for name in ATTENTIONS
        }
        rows = tuple(
            (name, *errors[name], estimate(reading.in_equal_time(name, list(ATTENTIONS))))
            for name in ATTENTIONS
        )
        columns = (
            "attention",
            *(f"{quality}, {factor} joined" for factor in FACTORS),
            f"dev {quality} in equal time",
        )
        series = tuple(Series(name, points) for name, points in errors.items())
        label = "utterances joined (trained on single ones)"
        chart = Chart("bars", label, quality, tuple(map(str, FACTORS)), series)
        return Table(columns, rows, chart, _notes(reading))


def _model(draws: Draws, attention: dict[str, Any]) -> dict[str, Any]:
    model = draws.any.run.model.model_dump(mode="json", exclude_none=True)
    return model | {"attention": attention}


def _notes(reading: JoinedReading) -> tuple[str, ...]:
    results = [one for found in reading.found.values() for one in found.values() if "groups" in one]
    if not results:
        return ()
    counts = results[0]["groups"]
    shown = ", ".join(f"{len(counts[str(factor)])} of {factor}" for factor in FACTORS)
    return (f"Joined test utterances of a draw: {shown}.",)
