"""What 95 % intervals cover, by simulation: why a verdict needs `FEWEST` draws."""

import numpy as np
import pytest

from kochi.studies.estimates import FEWEST, Counted, Figure
from kochi.studies.study import Options

TRIALS = 2000
ROWS = 60
QUICK = [(FEWEST, 0.5), (FEWEST, 6.0), (Options.seeds, 2.0)]


def covered_apart(draws, generator):
    """Draws with data of their own: the share of intervals that hold the true value, 0."""
    hits = 0
    for _ in range(TRIALS):
        found = Figure(dict(enumerate(generator.normal(size=draws)))).estimate()
        assert found is not None
        hits += found.low <= 0.0 <= found.high
    return hits / TRIALS


def covered_crossed(draws, of_draws, generator):
    """The same rows for all: draws, rows and what is left each have a share in the variance.

    Args:
        draws: How many.
        of_draws: Standard deviation between draws, in standard errors of the rows' mean.
        generator: Draws all.
    """
    hits = 0
    for _ in range(TRIALS):
        rows = generator.normal(size=ROWS)
        matrices = {
            seed: np.stack([level + rows + generator.normal(size=ROWS), np.ones(ROWS)], axis=1)
            for seed, level in enumerate(of_draws * ROWS**-0.5 * generator.normal(size=draws))
        }
        value = lambda sums: sums[..., 0] / sums[..., 1]  # noqa: E731
        found = Counted(matrices, value, crossed=True).figure().estimate()
        assert found is not None
        hits += found.low <= 0.0 <= found.high
    return hits / TRIALS


def test_draws_apart_cover_what_they_say():
    """At the fewest draws; with more, Student's interval stays what it is."""
    assert covered_apart(FEWEST, np.random.default_rng(1)) >= 0.93


@pytest.mark.parametrize(
    ("draws", "of_draws"),
    [
        pytest.param(draws, ratio, marks=() if (draws, ratio) in QUICK else pytest.mark.slow)
        for draws in (FEWEST, Options.seeds)
        for ratio in (0.5, 1.0, 2.0, 4.0, 6.0, 10.0)
    ],
)
def test_crossed_draws_cover_what_they_say(draws, of_draws, monkeypatch):
    """With the fewest that a verdict needs, and with those that the command takes."""
    monkeypatch.setattr("kochi.studies.estimates.RESAMPLES", 100)
    assert covered_crossed(draws, of_draws, np.random.default_rng(2)) >= 0.93


def test_fewer_draws_cover_less(monkeypatch):
    """Where draws differ more than rows do, what few draws say of their spread is too uncertain."""
    monkeypatch.setattr("kochi.studies.estimates.RESAMPLES", 100)
    assert covered_crossed(FEWEST - 1, 6.0, np.random.default_rng(2)) < 0.93
