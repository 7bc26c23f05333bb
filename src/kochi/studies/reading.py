"""Compute figures over draws from the results of cells."""

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
Rows = Mapping[int, list[int]]  # test pairs by seed
TIMED = "steps"  # the label of rounds of timing


class Reading:
    """Computes figures from results; each is None if its results are missing.

    Args:
        draws: The tasks that the cells were trained on.
        found: Their results.
        test: Returns the file that they were tested on, if it is not the task's own.
        everyone: Include models that did not train: all of them, or some.
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
        """Return a copy without models that did not train, except the exempt ones ("*": all)."""
        other = type(self)(self.draws, self.found, self.test, exempt)
        other._tests = self._tests
        return other

    def results(self, label: str) -> Results:
        """Return the results of a model, without trainings that diverged or are excluded."""
        kept = "*" in self.everyone or label in self.everyone
        return {
            seed: result
            for seed, result in self.found.get(label, {}).items()
            if "diverged" not in result and (kept or result.get("trained", True))
        }

    def quality(self, label: str, rows: Rows | None = None) -> Figure | None:
        """Return the quality of predictions by the task's metric, for all or some test pairs."""
        return self._counted(label, lambda test, one: test.judge(one["answers"]), rows)

    def goodness(self, label: str, rows: Rows | None = None) -> Figure | None:
        """Return the same, with a sign such that more is better."""
        figure = self.quality(label, rows)
        if figure is None or higher_is_better(self.draws.any.metric):
            return figure
        return -1.0 * figure

    def alignment_error(self, label: str) -> Figure | None:
        """Return the alignment error rate, if gold links are known and the models attend."""
        if self.draws.any.gold is None or self.test(self.draws.any) is not None:
            return None
        kept = [one for one in self.results(label).values() if one.get("links") is not None]
        if not kept:
            return None
        return self._counted(label, lambda test, one: test.links(one["links"]), None, error_rate)

    def pointing(self, label: str) -> Figure | None:
        """Return the percentage of words whose peak lies in a box, if boxes are known."""
        return self._ratio(label, "points", lambda sums: 100.0 * sums[1] / max(sums[0], 1.0))

    def zeros(self, label: str) -> Figure | None:
        """Return the percentage of weights that are exactly 0."""
        return self._ratio(label, "places", lambda sums: 100.0 - 100.0 * sums[0] / sums[1])

    def places(self, label: str) -> Figure | None:
        """Return how many positions a head attends to per word: weights that are not 0."""
        return self._ratio(label, "places", lambda sums: sums[0] / sums[2])

    def nats(self, label: str) -> Figure | None:
        """Return the mean negative log-likelihood of a target token, in nats."""
        return self._ratio(label, "nats", lambda sums: sums[0] / sums[1])

    def number(self, label: str, name: str) -> Figure | None:
        """Return a number of the results, such as the seconds of the training."""
        values = {seed: one[name] for seed, one in self.results(label).items() if name in one}
        return Figure(values) if values else None

    def time(self, name: str, measure: str = "milliseconds") -> Figure | None:
        """Return a measure of a step from the rounds of timing."""
        rounds = self.results(TIMED)
        values = {seed: float(one[name][measure]) for seed, one in rounds.items() if name in one}
        return Figure(values) if values else None

    def in_equal_time(self, label: str, labels: list[str]) -> Figure | None:
        """Return the dev metric at the time when the quickest of some models was done."""
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
    """The test pairs of a draw."""

    def __init__(self, task: Task, file: Path | None) -> None:
        self.task, self.file = task, file

    @cached_property
    def pairs(self) -> list[Pair]:
        return list(read_pairs(*self.task.test_data(self.file)))

    @cached_property
    def metric(self) -> Metric:
        """The metric of the predictions, as configured in the run file."""
        data = self.task.run.data
        wer = wer_unit(data, [pair.source for pair in self.pairs])
        tokenize = "none" if data.tokenized else "13a"
        return make_metric(self.task.metric, tokenize, data.target.lowercase, wer)

    def judge(self, answers: list[str], references: list[list[str]] | None = None) -> Any:
        """Return the metric's statistics of each prediction; by default against the test pairs."""
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
    """Figures for predictions from joined utterances."""

    def joined(self, label: str, factor: int) -> Figure | None:
        """Return the quality on joined utterances with this factor; None if there are none."""

        def count(test: _Test, result: Result) -> Any:
            groups = result["groups"][str(factor)]
            texts = [[" ".join(test.pairs[at].references[0] for at in group)] for group in groups]
            return test.judge(result["answers"][str(factor)], texts)

        if not any(one["answers"][str(factor)] for one in self.results(label).values()):
            return None
        return self._counted(label, count, None)

    def errors(self, label: str, factor: int) -> Figure | None:
        """Return the same, with a sign such that more is worse."""
        figure = self.joined(label, factor)
        if figure is None or not higher_is_better(self.draws.any.metric):
            return figure
        return -1.0 * figure


def estimate(figure: Figure | None) -> Estimate | None:
    """Return the estimate of a figure, if there is one."""
    return None if figure is None else figure.estimate()


def minus(one: Figure | None, other: Figure | None) -> Figure | None:
    """Return the difference, if both exist."""
    return None if one is None or other is None else one - other


def advantage(first: str, second: str, quality: str, claimed: Range = ABOVE_ZERO) -> Test[Reading]:
    """Return a test of the difference in quality between two models.

    Args:
        first: Label of the model that the claim calls better.
        second: Label of the other model.
        quality: The metric, as in the heading of a column.
        claimed: The range that the claim predicts.
    """
    return Test(
        f"advantage of ({first}) over ({second}), {quality}",
        lambda reading: minus(reading.goodness(first), reading.goodness(second)),
        claimed,
    )


def saved(reading: Reading, one: str, other: str, measure: str = "milliseconds") -> Figure | None:
    """Return by how many percent a measure of a step is below that of another, per round."""
    less, more = reading.time(one, measure), reading.time(other, measure)
    if less is None or more is None:
        return None
    return combine(lambda a, b: 100.0 * (1.0 - a / b), less, more)


def _at(seconds: float, curve: Sequence[Sequence[int | float]]) -> float:
    """Interpolate a curve of (step, seconds, value) at a time; its first value before the start."""
    return float(np.interp(seconds, [point[1] for point in curve], [point[2] for point in curve]))
