"""From what cells left to figures over draws."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kochi.data.pair import Pair
from kochi.metrics import higher_is_better
from kochi.metrics.alignment import count_links, error_rate, read_links
from kochi.metrics.judge import comparable, wer_unit
from kochi.metrics.metric import Metric
from kochi.metrics.names import make_metric
from kochi.modalities.pairs import read_pairs
from kochi.studies.cells import Result
from kochi.studies.claims import ABOVE_ZERO, Range, Test
from kochi.studies.estimates import Counted, Estimate, Figure, combine
from kochi.studies.task import Draws, Task
from kochi.word_alignment import read_gold, word_counts

Results = Mapping[int, Result]  # by seed
Found = Mapping[str, Results]  # by label
Rows = Mapping[int, list[int]]  # by seed: which test pairs
TIMED = "steps"  # the label of rounds of time


class Reading:
    """Make figures of what was measured; each is None where there is nothing to make it of.

    Args:
        draws: What the cells were trained on.
        found: Their results.
        test: Gives the file that they were measured on, if that is not the task's own.
        everyone: Count models that did not train, too: all of them, or some.
    """

    def __init__(
        self,
        draws: Draws,
        found: Found,
        test: Callable[[Task], Path | None] = lambda task: None,
        everyone: frozenset[str] = frozenset({"*"}),
    ) -> None:
        self.draws, self.found, self.test, self.everyone = draws, found, test, everyone
        self._tests: dict[int, _Test] = {}

    def trained_only(self, exempt: frozenset[str]) -> "Reading":
        """Return the same without models that did not train, but for some ("*": all)."""
        other = type(self)(self.draws, self.found, self.test, exempt)
        other._tests = self._tests
        return other

    def results(self, label: str) -> Results:
        """Return what was measured of a model, but trainings that diverged or may not count."""
        kept = "*" in self.everyone or label in self.everyone
        return {
            seed: result
            for seed, result in self.found.get(label, {}).items()
            if "diverged" not in result and (kept or result.get("trained", True))
        }

    def quality(self, label: str, rows: Rows | None = None) -> Figure | None:
        """How good the answers are, by the task's metric, of all test pairs or of some."""
        return self._counted(label, lambda test, one: test.judge(one["answers"]), rows)

    def goodness(self, label: str, rows: Rows | None = None) -> Figure | None:
        """The same, but more is better whichever way the metric runs."""
        figure = self.quality(label, rows)
        if figure is None or higher_is_better(self.draws.any.metric):
            return figure
        return -1.0 * figure

    def alignment_error(self, label: str) -> Figure | None:
        """The alignment error rate, where right links are known and the models attend."""
        if self.draws.any.gold is None or self.test(self.draws.any) is not None:
            return None
        kept = [one for one in self.results(label).values() if one.get("links") is not None]
        if not kept:
            return None
        return self._counted(label, lambda test, one: test.links(one["links"]), None, error_rate)

    def pointing(self, label: str) -> Figure | None:
        """The share of words whose peak lies in a box, percent, where boxes are known."""
        return self._ratio(label, "points", lambda sums: 100.0 * sums[1] / max(sums[0], 1.0))

    def zeros(self, label: str) -> Figure | None:
        """The share of weights that are exactly 0, percent."""
        return self._ratio(label, "places", lambda sums: 100.0 - 100.0 * sums[0] / sums[1])

    def places(self, label: str) -> Figure | None:
        """How many places a head attends to for a word: weights that are not exactly 0."""
        return self._ratio(label, "places", lambda sums: sums[0] / sums[2])

    def nats(self, label: str) -> Figure | None:
        """The mean negative log-likelihood of a right token, in nats."""
        return self._ratio(label, "nats", lambda sums: sums[0] / sums[1])

    def number(self, label: str, name: str) -> Figure | None:
        """What a result holds as a number, such as the seconds of the training."""
        values = {seed: one[name] for seed, one in self.results(label).items() if name in one}
        return Figure(values) if values else None

    def time(self, name: str, measure: str = "milliseconds") -> Figure | None:
        """What the rounds of time say of a step."""
        rounds = self.results(TIMED)
        values = {seed: float(one[name][measure]) for seed, one in rounds.items() if name in one}
        return Figure(values) if values else None

    def in_equal_time(self, label: str, labels: list[str]) -> Figure | None:
        """The dev metric when the quickest of some models was done, by its course until then."""
        limits = {
            seed: min(
                result["seconds"]
                for other in labels
                for at, result in self.results(other).items()
                if at == seed
            )
            for seed in self.results(label)
        }
        values = {
            seed: _at(limits[seed], result["curve"])
            for seed, result in self.results(label).items()
            if result.get("curve")
        }
        return Figure(values) if values else None

    def _counted(
        self,
        label: str,
        count: Callable[["_Test", Result], Any],
        rows: Rows | None,
        value: Callable[[Any], float] | None = None,
    ) -> Figure | None:
        results = self.results(label)
        if not results:
            return None
        counts = {seed: count(self._test(seed), one) for seed, one in results.items()}
        value = value or self._test(next(iter(results))).metric.value
        figure = Counted(counts, value, self.draws.crossed).figure(rows)
        return figure if figure.values else None

    def _ratio(self, label: str, name: str, value: Callable[[Any], float]) -> Figure | None:
        kept = {seed: one for seed, one in self.results(label).items() if one.get(name)}
        if not kept:
            return None
        rows = {seed: np.array(one[name], dtype=np.float64) for seed, one in kept.items()}
        return Counted(rows, lambda sums: float(value(sums)), self.draws.crossed).figure()

    def _test(self, seed: int) -> "_Test":
        place = 0 if self.draws.crossed else seed
        if place not in self._tests:
            task = self.draws.task(seed)
            self._tests[place] = _Test(task, self.test(task))
        return self._tests[place]


class _Test:
    """The pairs that the models of a draw are measured on."""

    def __init__(self, task: Task, file: Path | None) -> None:
        self.task, self.file = task, file

    @cached_property
    def pairs(self) -> list[Pair]:
        return list(read_pairs(*self.task.test_data(self.file)))

    @cached_property
    def metric(self) -> Metric:
        """What answers are measured by, as the run file asks for."""
        data = self.task.run.data
        wer = wer_unit(data, [pair.source for pair in self.pairs])
        tokenize = "none" if data.tokenized else "13a"
        return make_metric(self.task.metric, tokenize, data.target.lowercase, wer)

    def judge(self, answers: list[str], references: list[list[str]] | None = None) -> Any:
        """Count what the metric needs of each answer; by default to the test pairs."""
        target = self.task.run.data.target
        right = references or [list(pair.references) for pair in self.pairs]
        return self.metric.statistics(
            [comparable(text, target) for text in answers],
            [[comparable(text, target) for text in row] for row in right],
        )

    def links(self, lines: list[str]) -> Any:
        """Count right and wrong links of each pair."""
        assert self.task.gold is not None
        texts = ((pair.source, pair.references[0]) for pair in self.pairs)
        gold = read_gold(self.task.gold, word_counts(texts))
        return count_links([read_links(line).sure for line in lines], gold)


class JoinedReading(Reading):
    """The same for what joined utterances were answered with."""

    def joined(self, label: str, factor: int) -> Figure | None:
        """The quality on utterances that are joined of so many; None where none are."""

        def count(test: _Test, result: Result) -> Any:
            groups = result["groups"][str(factor)]
            texts = [[" ".join(test.pairs[at].references[0] for at in group)] for group in groups]
            return test.judge(result["answers"][str(factor)], texts)

        if not any(one["answers"][str(factor)] for one in self.results(label).values()):
            return None
        return self._counted(label, count, None)

    def errors(self, label: str, factor: int) -> Figure | None:
        """The same, but more is worse whichever way the metric runs."""
        figure = self.joined(label, factor)
        if figure is None or not higher_is_better(self.draws.any.metric):
            return figure
        return -1.0 * figure


def estimate(figure: Figure | None) -> Estimate | None:
    """Return the estimate of a figure, if there is one."""
    return None if figure is None else figure.estimate()


def minus(one: Figure | None, other: Figure | None) -> Figure | None:
    """Return the difference, if both are there."""
    return None if one is None or other is None else one - other


def advantage(first: str, second: str, quality: str, claimed: Range = ABOVE_ZERO) -> Test[Reading]:
    """Return the test of by how much one model is better than another.

    Args:
        first: The label of the one.
        second: That of the other.
        quality: The metric, as a column is headed.
        claimed: Where the claim says that it lies.
    """
    return Test(
        f"advantage of ({first}) over ({second}), {quality}",
        lambda reading: minus(reading.goodness(first), reading.goodness(second)),
        claimed,
    )


def saved(reading: Reading, one: str, other: str, measure: str = "milliseconds") -> Figure | None:
    """By how many percent a measure of a step is smaller than that of another, round by round."""
    less, more = reading.time(one, measure), reading.time(other, measure)
    if less is None or more is None:
        return None
    return combine(lambda a, b: 100.0 * (1.0 - a / b), less, more)


def _at(seconds: float, curve: Sequence[Sequence[int | float]]) -> float:
    """Read a curve of (step, seconds, value) at a time; before its first point, that point."""
    return float(np.interp(seconds, [point[1] for point in curve], [point[2] for point in curve]))
