"""Figures with their intervals: resampled over the seeds and the rows of the test set.

A resample draws seeds with replacement and, for all of them, the same rows with replacement; its
value is that of the mean of the seeds' sums. So an interval knows both that another training would
have ended elsewhere and that another test set would have been easier or harder; with one seed it
knows the second only. Two systems are compared on the same draws (Koehn 2004,
https://aclanthology.org/W04-3250, with the seeds drawn as well).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kochi.metrics.bootstrap import interval

RESAMPLES = 1000
CONFIDENCE = 95.0
Value = Callable[[Float[np.ndarray, " statistics"]], float]


@dataclass(frozen=True)
class Estimate:
    """A figure.

    Attributes:
        value: What was found.
        low: Lower end of its interval.
        high: Upper end of its interval.
        count: From how many seeds, or rounds of a measurement of time.
    """

    value: float
    low: float
    high: float
    count: int = 1

    def show(self) -> str:
        """Write the figure and its interval; small ones with two digits.

        >>> Estimate(12.34, 11.0, 13.0).show(), Estimate(0.123, -1.0, 2.0).show()
        ('12.3 [11.0, 13.0]', '0.12 [-1.00, 2.00]')
        """
        digits = 1 if max(abs(self.low), abs(self.high)) >= 10.0 else 2
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


@dataclass(frozen=True)
class Measured:
    """What was counted of the rows of a test set, for each seed, and the figure made of it.

    Attributes:
        rows: A matrix for each seed: a row a test pair, a column a count.
        value: Makes the figure of the sums of the columns.
    """

    rows: tuple[Float[np.ndarray, "rows statistics"], ...]
    value: Value

    def of_rows(self, chosen: Sequence[int]) -> "Measured":
        """Return the same for some rows alone."""
        return Measured(tuple(one[list(chosen)] for one in self.rows), self.value)

    def estimate(self) -> Estimate:
        """Return the figure of all seeds together."""
        mean = np.mean([one.sum(axis=0) for one in self.rows], axis=0)
        low, high = interval(self._draws(len(self.rows)), CONFIDENCE)
        return Estimate(self.value(mean), low, high, len(self.rows))

    def minus(self, other: "Measured") -> Estimate:
        """Return the difference to another system on the same rows."""
        seeds = min(len(self.rows), len(other.rows))
        first, second = self._first(seeds), other._first(seeds)
        low, high = interval(first._draws(seeds) - second._draws(seeds), CONFIDENCE)
        value = first.estimate().value - second.estimate().value
        return Estimate(value, low, high, seeds)

    def _first(self, seeds: int) -> "Measured":
        return Measured(self.rows[:seeds], self.value)

    def _draws(self, seeds: int) -> Float[np.ndarray, " resamples"]:
        """Draw seeds and rows again and again, always in the same way, and give the figures."""
        generator = np.random.default_rng(1)
        number = len(self.rows[0])
        stacked = np.stack(self.rows)
        values = np.empty(RESAMPLES)
        for place in range(RESAMPLES):
            times = np.bincount(generator.integers(number, size=number), minlength=number)
            picks = np.bincount(generator.integers(seeds, size=seeds), minlength=seeds)
            values[place] = self.value(np.einsum("s,r,srk->k", picks / seeds, times, stacked))
        return values


def of_rounds(values: Sequence[float]) -> Estimate:
    """Return the median of a measurement's rounds, with the smallest and the largest.

    >>> of_rounds([3.0, 1.0, 2.0])
    Estimate(value=2.0, low=1.0, high=3.0, count=3)
    """
    return Estimate(float(np.median(values)), min(values), max(values), len(values))


def apart(one: Estimate | None, other: Estimate | None) -> Estimate | None:
    """Return the difference of two figures that were measured apart, with the widest interval.

    >>> apart(Estimate(3.0, 2.0, 4.0, 5), Estimate(1.0, 0.5, 1.5, 4))
    Estimate(value=2.0, low=0.5, high=3.5, count=4)
    """
    if one is None or other is None:
        return None
    value, count = one.value - other.value, min(one.count, other.count)
    return Estimate(value, one.low - other.high, one.high - other.low, count)


def exponent(lengths: Sequence[int | float], rounds: Sequence[Sequence[float]]) -> Estimate:
    """Fit ``value = c length^e`` by least squares of the logarithms; return e.

    Args:
        lengths: One a column.
        rounds: For each round, a value for each length. The interval is that of the exponents when
            the rounds of each length are drawn again.

    >>> exponent([1.0, 2.0, 4.0], [[3.0, 12.0, 48.0]])
    Estimate(value=2.0, low=2.0, high=2.0, count=1)
    """
    values, logs = np.log(np.asarray(rounds)), np.log(np.asarray(lengths))
    generator = np.random.default_rng(1)
    number, columns = values.shape
    fits = []
    for _ in range(RESAMPLES):
        picks = generator.integers(number, size=(number, columns))
        drawn = np.median(np.take_along_axis(values, picks, 0), axis=0)
        fits.append(_slope(logs, drawn))
    low, high = interval(np.array(fits), CONFIDENCE)
    return Estimate(_slope(logs, np.median(values, axis=0)), low, high, number)


def _slope(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> float:
    return round(float(np.polyfit(x, y, 1)[0]), 10)
