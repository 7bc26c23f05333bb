"""Does attention keep long sentences from getting worse?

Models are trained on sentences up to a length and tested on such and on longer ones; all test
sentences are new. What counts is how far the quality falls from one length to another, not how high
it is. Bahdanau et al. 2015, section 5.1 and figure 2 (https://arxiv.org/abs/1409.0473): the fixed
vector falls with the length, attention hardly. Expected: within the lengths of training so it is;
beyond them attention falls, too. Neishi and Yoshinaga 2019 (https://aclanthology.org/K19-1031) say
that absolute positions of a Transformer overfit to the length of training.
"""

from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override

from kochi.studies import models
from kochi.studies.cells import Cell
from kochi.studies.claims import Claim, Range, Source, Test
from kochi.studies.estimates import Figure
from kochi.studies.reading import Found, Reading, estimate, minus
from kochi.studies.report import Chart, Series, Table
from kochi.studies.study import Study
from kochi.studies.task import FOCUS_KNOBS, FOCUS_PARTS, Draws, made_up
from kochi.studies.trained import tuned

FIXED, ATTENTION, TRANSFORMER = "fixed vector", "attention", "Transformer"
MODELS = {
    FIXED: models.plain,
    ATTENTION: models.bahdanau,
    TRANSFORMER: models.transformer,
}
FEWEST_PAIRS = 20  # minimum number of test pairs per draw in a range of lengths
MARGIN = 2.0  # what counts as no deterioration, in points of the metric
BAHDANAU = "https://arxiv.org/abs/1409.0473"


class Lengths(Reading):
    """Figures by length: short (up to half the trained length), usual (up to it), longer."""

    @property
    def limit(self) -> int:
        """The maximum length of training sources, in tokens."""
        return self.draws.any.trained_length

    def lengths(self, seed: int) -> list[int]:
        """Return the number of tokens of the sources of a draw's test pairs."""
        for results in self.found.values():
            if seed in results and "source_lengths" in results[seed]:
                return results[seed]["source_lengths"]
        return []

    def between(self, low: int, high: int) -> Mapping[int, list[int]]:
        """Return the test pairs of each draw whose sources have this range of tokens."""
        seeds = {seed for results in self.found.values() for seed in results}
        return {
            seed: [at for at, length in enumerate(self.lengths(seed)) if low <= length <= high]
            for seed in seeds
        }

    def at(self, label: str, lengths: str) -> Figure | None:
        """Return a model's goodness on short, usual or longer sources, of draws with enough."""
        half, limit = self.limit // 2, self.limit
        ranges = {"short": (1, half), "usual": (half + 1, limit), "longer": (limit + 1, 1 << 30)}
        rows = self.between(*ranges[lengths])
        enough = {seed: at if len(at) >= FEWEST_PAIRS else [] for seed, at in rows.items()}
        return self.goodness(label, enough)

    def fall(self, label: str, first: str, then: str) -> Figure | None:
        """Return how far the goodness falls from one range of lengths to another."""
        return minus(self.at(label, first), self.at(label, then))

    def falls_more(self, label: str, other: str, first: str, then: str) -> Figure | None:
        """Return by how much more a model falls than another."""
        return minus(self.fall(label, first, then), self.fall(other, first, then))


class Focus(Study):
    """Quality by source length, for the fixed vector, attention and the Transformer."""

    name = "focus"
    training_minutes = 1.8

    @override
    def default(self, folder: Path, size: int) -> Draws:
        return made_up(folder / "lengths", size, FOCUS_KNOBS, FOCUS_PARTS)

    @override
    def cells(self, draws: Draws, seed: int) -> dict[str, Cell]:
        task = draws.task(seed)
        longest = None if task.long_test is not None else task.trained_length
        return {
            name: tuned(draws, model(task.size), seed, test=task.long_test, max_length=longest)
            for name, model in MODELS.items()
        }

    @override
    def reading(self, draws: Draws, found: Found) -> Lengths:
        return Lengths(draws, found, lambda task: task.long_test)

    @override
    def claims(self, draws: Draws) -> tuple[Claim[Lengths], ...]:
        points = f"points of {draws.quality}"

        def falls(label: str, other: str, first: str, then: str) -> Test[Lengths]:
            return Test(
                f"fall of {label} minus fall of {other}, {first} to {then} sentences, {points}",
                lambda reading: reading.falls_more(label, other, first, then),
            )

        return (
            Claim(
                "Within the lengths of training, quality falls more with the length with a fixed "
                "vector than with attention.",
                Source(
                    "Bahdanau et al. 2015",
                    "section 5.1, figure 2",
                    "RNNencdec “dramatically drops as the length of the sentences increases”, both "
                    "RNNsearch are “more robust”.",
                    "minutes of training; short is up to half of the longest trained length. One "
                    "that stands low cannot fall far: the floor works against the claim.",
                    BAHDANAU,
                ),
                (falls(FIXED, ATTENTION, "short", "usual"),),
            ),
            Claim(
                f"With attention, quality falls by less than {MARGIN:g} points within the lengths "
                "of training.",
                Source(
                    "Bahdanau et al. 2015",
                    "section 5.1, figure 2",
                    "RNNsearch-50 “shows no performance deterioration even with sentences of "
                    "length 50 or more”, which it was trained on.",
                    f"the margin of {MARGIN:g} points is ours.",
                    BAHDANAU,
                ),
                (
                    Test(
                        f"fall of {ATTENTION}, short to usual sentences, {points}",
                        lambda reading: reading.fall(ATTENTION, "short", "usual"),
                        Range(high=MARGIN),
                    ),
                ),
            ),
            Claim(
                "Beyond the lengths of training, quality falls more with a fixed vector than with "
                "attention.",
                Source(
                    "ours",
                    differs="the paper's curves end near the lengths of training; on this scale, "
                    "points and not shares of what there was, one that stands low cannot fall far.",
                ),
                (falls(FIXED, ATTENTION, "usual", "longer"),),
            ),
            Claim(
                "Beyond the lengths of training, a Transformer with sinusoidal positions falls "
                "more than recurrent attention.",
                Source(
                    "Neishi and Yoshinaga 2019",
                    "abstract",
                    "the Transformer “has difficulty in translating long sentences”, as “absolute "
                    "position actually causes overfitting to the sentence length”.",
                    "both have equal steps, which leaves the Transformer further from done. Of "
                    "longer sentences the abstract compares relative with absolute positions.",
                    "https://aclanthology.org/K19-1031",
                ),
                (falls(TRANSFORMER, ATTENTION, "usual", "longer"),),
            ),
        )

    @override
    def table(self, reading: Lengths) -> Table:
        quality = reading.draws.quality
        ranges = _ranges(reading)
        by_range = {
            name: [estimate(reading.quality(name, rows)) for rows in ranges.values()]
            for name in MODELS
        }
        rows = tuple(
            (place, sum(map(len, chosen.values())), *(by_range[name][number] for name in MODELS))
            for number, (place, chosen) in enumerate(ranges.items())
        )
        equal = (estimate(reading.in_equal_time(name, list(MODELS))) for name in MODELS)
        rows += (("dev, in equal time", None, *equal),)
        series = tuple(Series(name, tuple(points)) for name, points in by_range.items())
        label = f"source tokens (trained up to {reading.limit})"
        chart = Chart("bars", label, quality, tuple(ranges), series)
        columns = ("source tokens", "test pairs", *(f"{name}, {quality}" for name in MODELS))
        notes = (
            f"Short is up to {reading.limit // 2} tokens, usual up to {reading.limit}, the longest "
            "of training; longer is beyond.",
            "In equal time: dev quality of each when the quickest was done.",
        )
        return Table(columns, rows, chart, notes)


def _ranges(reading: Lengths) -> dict[str, Mapping[int, list[int]]]:
    """Group the test pairs by length, in steps of half the trained length."""
    half = max(1, reading.limit // 2)
    seeds = {seed for results in reading.found.values() for seed in results}
    longest = max((max(reading.lengths(seed), default=0) for seed in seeds), default=0)
    ranges = {}
    for start in range(1, longest + 1, half):
        rows = reading.between(start, start + half - 1)
        if rows and min(map(len, rows.values())) >= FEWEST_PAIRS:
            ranges[f"{start}-{start + half - 1}"] = rows
    return ranges
