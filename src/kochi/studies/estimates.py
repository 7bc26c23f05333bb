"""Figures over draws, with intervals that include all sources of variance.

A figure has one value per draw. There are two designs (decision 0080):

- Independent: each draw has its own language, training pairs, test pairs and weights (synthetic
  data), or is one round of timing in a separate process. Draws are independent, so the interval is
  Student's over draws.
- Crossed: there is one corpus. Draws differ in weights and batches, and all are measured on the
  same rows. The variance of the mean is that over draws plus that of the mean under resampling of
  rows (Efron 1979; for two systems on the same rows Koehn 2004, https://aclanthology.org/W04-3250),
  with the degrees of freedom of Satterthwaite (1946, https://doi.org/10.2307/3002019).

Figures are added and subtracted draw by draw, and on the same resampled rows, so that a difference
of differences is written as such.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import stdtr, stdtrit

RESAMPLES = 500
CONFIDENCE = 95.0
FEWEST = 4  # minimum number of draws for a verdict; see tests/studies/test_coverage.py
Value = Callable[[Float[np.ndarray, " statistics"]], float]


@dataclass(frozen=True)
class Estimate:
    """A mean over draws, and its uncertainty.

    Attributes:
        value: The mean.
        error: Its standard error; NaN if there is only one draw.
        freedom: Degrees of freedom of the error.
        seeds: The draws of the mean.
    """

    value: float
    error: float = math.nan
    freedom: float = 0.0
    seeds: tuple[int, ...] = (1,)

    @property
    def count(self) -> int:
        """The number of draws."""
        return len(self.seeds)

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval; -inf if it is unknown."""
        return self._end(-1.0)

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval; inf if it is unknown."""
        return self._end(1.0)

    def _end(self, side: float) -> float:
        if math.isnan(self.error):
            return side * math.inf
        reach = float(stdtrit(self.freedom, 0.5 + CONFIDENCE / 200.0))
        return self.value + side * reach * self.error

    def chance_below(self, bound: float) -> float:
        """Return the one-sided p-value of "it is at most the bound"; 1 if it is unknown.

        >>> round(Estimate(1.0, 0.5, 3.0).chance_below(0.0), 3)
        0.07
        """
        return self._chance(self.value - bound)

    def chance_above(self, bound: float) -> float:
        """Return the one-sided p-value of "it is at least the bound"; 1 if it is unknown."""
        return self._chance(bound - self.value)

    def _chance(self, ahead: float) -> float:
        if math.isnan(self.error) or math.isinf(ahead):
            return 1.0 if math.isnan(self.error) or ahead < 0.0 else 0.0
        if self.error == 0.0:
            return 0.0 if ahead > 0.0 else 1.0
        return float(stdtr(self.freedom, -ahead / self.error))

    def show(self) -> str:
        """Format the figure and its interval; small ones with two digits.

        >>> Estimate(12.34, 0.5, 4.0).show(), Estimate(0.123, 0.1, 9.0).show(), Estimate(7.0).show()
        ('12.3 [11.0, 13.7]', '0.12 [-0.10, 0.35]', '7.00 [one draw]')
        """
        known = not math.isnan(self.error)
        reach = max(abs(self.low), abs(self.high)) if known else abs(self.value)
        digits = 1 if reach >= 10.0 else 2
        ends = f"{self.low:.{digits}f}, {self.high:.{digits}f}" if known else "one draw"
        return f"{self.value:.{digits}f} [{ends}]"


@dataclass(frozen=True)
class Figure:
    """A value for each draw.

    Attributes:
        values: The values by seed.
        redrawn: The values by seed for resampled rows of the corpus; the resamples are the same
            for all seeds and systems. Empty if draws are independent.
        rows: Number of rows of the corpus.
    """

    values: Mapping[int, float]
    redrawn: Mapping[int, Float[np.ndarray, " resamples"]] = field(default_factory=dict)
    rows: int = 0

    def __sub__(self, other: "Figure") -> "Figure":
        return combine(lambda one, two: one - two, self, other)

    def __rmul__(self, factor: float) -> "Figure":
        return combine(lambda one: factor * one, self)

    def estimate(self) -> Estimate | None:
        """Return the mean with its standard error; None if there are no draws."""
        seeds = tuple(sorted(self.values))
        if not seeds:
            return None
        values = np.array([self.values[seed] for seed in seeds])
        mean, number = float(values.mean()), len(seeds)
        if number < 2:
            return Estimate(mean, seeds=seeds)
        over_draws = float(values.var(ddof=1)) / number
        if not self.redrawn:
            return Estimate(mean, math.sqrt(over_draws), number - 1.0, seeds)
        over_rows = float(np.mean([self.redrawn[seed] for seed in seeds], axis=0).var(ddof=1))
        total = over_draws + over_rows
        freedom = number - 1.0
        if total > 0.0:
            shares = over_draws / total, over_rows / total
            freedom = 1.0 / (shares[0] ** 2 / (number - 1) + shares[1] ** 2 / max(1, self.rows - 1))
        return Estimate(mean, math.sqrt(total), freedom, seeds)


def combine(function: Callable[..., Any], *figures: Figure) -> Figure:
    """Apply a function to the values of the draws that all figures have.

    Args:
        function: Takes one number per figure; it is also called with arrays of resampled values.
        figures: Its arguments.

    >>> combine(lambda a, b: a / b, Figure({1: 6.0, 2: 8.0}), Figure({2: 4.0})).values
    {2: 2.0}
    """
    seeds = sorted(set.intersection(*(set(one.values) for one in figures)))
    redrawn: dict[int, Any] = {}
    if all(one.redrawn for one in figures):
        redrawn = {seed: function(*(one.redrawn[seed] for one in figures)) for seed in seeds}
    values = {seed: function(*(one.values[seed] for one in figures)) for seed in seeds}
    return Figure(values, redrawn, min(one.rows for one in figures))


@dataclass(frozen=True)
class Counted:
    """Counts for the rows of a test set, for each draw, and the figure computed from them.

    Attributes:
        rows: By seed, a matrix with a row per test pair and a column per statistic.
        value: Computes the figure from the sums of the columns.
        crossed: Whether all draws are measured on the same rows.
    """

    rows: Mapping[int, Float[np.ndarray, "rows statistics"]]
    value: Value
    crossed: bool = False

    def figure(self, chosen: Mapping[int, list[int]] | None = None) -> Figure:
        """Return the figure for all rows, or for a selection.

        Args:
            chosen: The selected rows by seed; a seed without any has no value.
        """
        kept = {seed: _picked(one, seed, chosen) for seed, one in self.rows.items()}
        kept = {seed: one for seed, one in kept.items() if one.any()}
        values = {seed: float(self.value(one.sum(axis=0))) for seed, one in kept.items()}
        if not self.crossed or not kept:
            return Figure(values)
        number = len(next(iter(kept.values())))
        times = _times_drawn(number)
        redrawn = {
            seed: np.array([self.value(one) for one in times @ matrix])
            for seed, matrix in kept.items()
        }
        count = number if chosen is None else min(len(chosen[seed]) for seed in kept)
        return Figure(values, redrawn, count)


def _picked(
    matrix: Float[np.ndarray, "rows statistics"],
    seed: int,
    chosen: Mapping[int, list[int]] | None,
) -> Float[np.ndarray, "rows statistics"]:
    """Return the matrix with all other rows set to 0, so that row indices do not change."""
    if chosen is None:
        return matrix
    kept = np.zeros_like(matrix)
    kept[chosen[seed]] = matrix[chosen[seed]]
    return kept


def _times_drawn(number: int) -> Float[np.ndarray, "resamples rows"]:
    """Draw bootstrap resamples of the rows, with a fixed seed."""
    generator = np.random.default_rng(1)
    draws = generator.integers(number, size=(RESAMPLES, number))
    return np.stack([np.bincount(one, minlength=number) for one in draws]).astype(np.float64)
