"""How wide must a window be?

Luong et al. 2015, section 3.2, attend to 2 D + 1 positions, with D = 10 in section 4.1
(https://arxiv.org/abs/1508.04025), and say that attending everywhere is expensive on long texts.
The made-up language of this study has sentences of 16 to 32 words, none of which moves by more than
four positions. Expected: a window as wide as that loses nothing, a narrower one does; a step on
long sentences takes less time and keeps less.
"""

from pathlib import Path
from typing import Any

from typing_extensions import override

from kochi.studies import models
from kochi.studies.cells import Cell
from kochi.studies.claims import Claim, Range, Source, Test
from kochi.studies.language import Knobs, Part
from kochi.studies.reading import TIMED, Reading, advantage, estimate, saved
from kochi.studies.report import Chart, Series, Table
from kochi.studies.study import Study
from kochi.studies.task import KNOBS, Draws, made_up
from kochi.studies.timed import NOTE, Step, TimedRound
from kochi.studies.trained import tuned

WIDTHS = (1, 2, 4, 10)
GUESSED = (4, 10)  # of local-p, whose window is at the predicted position
NARROW, MOVES, LUONGS = 1, 4, 10  # D: too narrow, as far as words move, and that of the paper
GLOBAL = "everywhere"
# No articles, no particles, one word per word: source and target have the same length.
LOCAL_KNOBS = Knobs(
    nouns=KNOBS.nouns,
    adjectives=KNOBS.adjectives,
    verbs=KNOBS.verbs,
    ambiguous=KNOBS.ambiguous,
    fertility=1,
    articles=False,
    particles=0.0,
)
PARTS = {"train": Part(1500, 16, 32), "dev": Part(150, 16, 32), "test": Part(300, 16, 32)}
LENGTH, TARGET_LENGTH, BATCH, WIDER = 512, 64, 4, 4
MARGIN = 1.0
LUONG = "https://arxiv.org/abs/1508.04025"


def _names() -> dict[str, Any]:
    windows = {f"local-m, D = {width}": {"kind": "local_m", "width": width} for width in WIDTHS}
    guesses = {f"local-p, D = {width}": {"kind": "local_p", "width": width} for width in GUESSED}
    return {**windows, **guesses, GLOBAL: "global"}


class Local(Study):
    """Windows of several widths: quality, alignment error, time and memory of a step."""

    name = "local"
    training_minutes = 5.0
    timing_minutes = 0.4

    @override
    def default(self, folder: Path, size: int) -> Draws:
        return made_up(folder / "moves", size, LOCAL_KNOBS, PARTS)

    @override
    def cells(self, draws: Draws, seed: int) -> dict[str, Cell]:
        size = draws.any.size
        cells: dict[str, Cell] = {}
        steps = []
        for name, scope in _names().items():
            cells[name] = tuned(draws, models.luong(size, score="general", scope=scope), seed)
            wide = models.luong(WIDER * size, input_feeding=False, score="general", scope=scope)
            steps.append((name, Step(wide, LENGTH, BATCH, target_length=TARGET_LENGTH)))
        return {**cells, TIMED: TimedRound(tuple(steps), seed)}

    @override
    def claims(self, draws: Draws) -> tuple[Claim[Reading], ...]:
        wide = LUONGS if draws.crossed else MOVES
        narrow, enough = f"local-m, D = {NARROW}", f"local-m, D = {wide}"

        def cheaper(what: str, measure: str, kind: str) -> Claim[Reading]:
            name = f"{kind}, D = {LUONGS}"
            return Claim(
                f"With {LENGTH} source words a step of this implementation takes less {what} with "
                f"a window ({name}) than attending everywhere.",
                Source(
                    "ours",
                    says="Luong et al. 2015, section 3.2, want windows for their cost: attending "
                    "everywhere “is expensive”; neither times nor memory are given.",
                    differs=f"{TARGET_LENGTH} target words, {BATCH} sentences, one thread; "
                    "attention is a small part of a step, and memory is that of the kernels here.",
                ),
                (
                    Test(
                        f"{what} of a step saved, %",
                        lambda reading: saved(reading, name, GLOBAL, measure),
                    ),
                ),
            )

        width = "Luong's" if draws.crossed else "as far as words move"
        return (
            Claim(
                f"A window narrower than words move (local-m, D = {NARROW}) loses quality.",
                Source(
                    "ours",
                    says="Luong et al. 2015 take D = 10 (section 4.1) and try no other.",
                ),
                (
                    advantage(GLOBAL, narrow, draws.quality),
                    advantage(enough, narrow, draws.quality),
                ),
            ),
            Claim(
                f"A window of D = {wide}, {width}, loses less than {MARGIN:g} points against "
                "attending everywhere.",
                Source(
                    "ours",
                    differs=f"the window spans {2 * wide + 1} positions; in local-m it is centred "
                    "at the target word's own position.",
                ),
                (advantage(enough, GLOBAL, draws.quality, Range(-MARGIN)),),
            ),
            cheaper("time", "milliseconds", "local-m"),
            cheaper("time", "milliseconds", "local-p"),
            cheaper("memory", "kept_bytes", "local-m"),
            cheaper("memory", "kept_bytes", "local-p"),
        )

    @override
    def table(self, reading: Reading) -> Table:
        quality = reading.draws.quality
        rows = []
        for name in _names():
            kept = estimate(reading.time(name, "kept_bytes"))
            rows.append(
                (
                    name,
                    estimate(reading.quality(name)),
                    estimate(reading.alignment_error(name)),
                    estimate(reading.in_equal_time(name, list(_names()))),
                    estimate(reading.time(name)),
                    None if kept is None else kept.value / 1e6,
                )
            )
        columns = (
            "scope",
            quality,
            "alignment error rate, %",
            f"dev {quality} in equal time",
            f"milliseconds per step at {LENGTH} words",
            "MB kept by a step",
        )
        series = tuple(
            Series(
                kind,
                tuple(
                    estimate(reading.quality(f"{kind}, D = {width}")) if width in widths else None
                    for width in WIDTHS
                ),
            )
            for kind, widths in (("local-m", WIDTHS), ("local-p", GUESSED))
        )
        line = Series(GLOBAL, (estimate(reading.quality(GLOBAL)),) * len(WIDTHS))
        chart = Chart(
            "lines",
            "D: positions to each side",
            quality,
            tuple(map(float, WIDTHS)),
            (*series, line),
        )
        return Table(columns, tuple(rows), chart, (NOTE,))
