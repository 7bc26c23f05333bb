"""From what trained cells left to figures."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from kochi.data.pairs import Pair, read_pairs
from kochi.links import read_gold, word_counts
from kochi.metrics.alignment import count_links, error_rate, read_links
from kochi.metrics.names import make_metric
from kochi.studies.cells import Result
from kochi.studies.estimates import Estimate, Measured, of_rounds
from kochi.studies.task import Task


class Reading:
    """Make figures of the results of `kochi.studies.trained.Trained`.

    Every figure is None where there is no result.

    Args:
        task: What the cells were trained on.
        test: The file that they were measured on, if not the task's own.
    """

    def __init__(self, task: Task, test: Path | None = None) -> None:
        self.task = task
        self.test = test
        lowercase = task.run.data.target.lowercase
        tokenize = "none" if task.run.data.tokenized else "13a"
        self.metric = make_metric(task.metric, tokenize, lowercase)

    @property
    def name(self) -> str:
        """The metric, as a column is headed."""
        names = {"bleu": "BLEU", "chrf": "chrF", "exact": "exact match, %"}
        return names.get(self.task.metric, f"{self.task.metric.upper()}, %")

    @cached_property
    def pairs(self) -> list[Pair]:
        """The test pairs."""
        return list(read_pairs(*self.task.test_data(self.test)))

    def quality(self, results: Sequence[Result]) -> Measured | None:
        """How good the answers are, by the task's metric."""
        if not results:
            return None
        references = [list(pair.references) for pair in self.pairs]
        return self.measure([result["answers"] for result in results], references)

    def measure(self, answers: Sequence[Sequence[str]], references: list[list[str]]) -> Measured:
        """Measure answers by the task's metric.

        Args:
            answers: For each seed, a text a row.
            references: The right answers of each row.
        """
        rows = [self.metric.statistics(texts, references) for texts in answers]
        return Measured(tuple(rows), self.metric.value)

    def better(self, one: Measured | None, other: Measured | None) -> Estimate | None:
        """By how much one is better than the other: above 0, whichever way the metric runs."""
        if self.metric.higher_is_better:
            return minus(one, other)
        return minus(other, one)

    def alignment_error(self, results: Sequence[Result]) -> Measured | None:
        """The alignment error rate, where right links are known and the models look."""
        gold = self._gold
        if not results or gold is None or any(result["links"] is None for result in results):
            return None
        found = [[read_links(line).sure for line in result["links"]] for result in results]
        return Measured(tuple(count_links(rows, gold) for rows in found), error_rate)

    def pointing(self, results: Sequence[Result]) -> Measured | None:
        """The share of words whose peak lies in a box, percent, where boxes are known."""
        if not results or any(result.get("points") is None for result in results):
            return None
        rows = tuple(np.array(result["points"], dtype=np.float64) for result in results)
        return Measured(rows, lambda totals: float(100.0 * totals[1] / max(totals[0], 1.0)))

    def zeros(self, results: Sequence[Result]) -> Measured | None:
        """The share of weights that are exactly 0, percent."""
        if not results or any(result["zeros"] is None for result in results):
            return None
        rows = tuple(np.array(result["zeros"], dtype=np.float64) for result in results)
        return Measured(rows, lambda totals: float(100.0 * totals[0] / totals[1]))

    def nats(self, results: Sequence[Result]) -> Measured | None:
        """The mean negative log-likelihood of a right token, in nats."""
        if not results or any(result.get("nats") is None for result in results):
            return None
        rows = tuple(np.array(result["nats"], dtype=np.float64) for result in results)
        return Measured(rows, lambda totals: float(totals[0] / totals[1]))

    @cached_property
    def _gold(self) -> list | None:
        if self.task.gold is None or self.test is not None:
            return None
        texts = ((pair.source, pair.references[0]) for pair in self.pairs)
        return read_gold(self.task.gold, word_counts(texts))


def minus(one: Measured | None, other: Measured | None) -> Estimate | None:
    """Return the difference, if both are there."""
    return None if one is None or other is None else one.minus(other)


def estimate(measured: Measured | None) -> Estimate | None:
    """Return the figure, if there is one."""
    return None if measured is None else measured.estimate()


def rounds(results: Sequence[Result], name: str) -> list[float]:
    """Return all that was measured under a name, one seed after the other."""
    return [number for result in results for number in result[name]]


def numbers(results: Sequence[Result], name: str) -> Estimate | None:
    """Return the median of what was measured under a name, with the smallest and the largest."""
    found = rounds(results, name)
    return of_rounds(found) if found else None


def saved(results: Sequence[Result], others: Sequence[Result], name: str) -> Estimate | None:
    """Return by how many percent a number is smaller than that of others."""
    pairs = zip(rounds(results, name), rounds(others, name), strict=False)
    shares = [100.0 * (1.0 - one / other) for one, other in pairs]
    return of_rounds(shares) if shares else None
