import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from kochi.metrics import evaluate
from kochi.metrics.names import make_metric
from kochi.studies.estimates import Counted, Estimate, Figure, combine

ANSWERS = ["a b c", "a x", "b", "c d e f", "x y"] * 8
REFERENCES = [["a b c"], ["a b"], ["b"], ["c d e g"], ["z y"]] * 8


def shares(*seeds, crossed=True):
    """Right answers and rows, for each seed."""
    rows = {
        number: np.array([(right, 1.0) for right in seed], dtype=np.float64)
        for number, seed in enumerate(seeds, 1)
    }
    return Counted(rows, lambda sums: float(100.0 * sums[0] / max(sums[1], 1.0)), crossed)


def estimate(figure):
    found = figure.estimate()
    assert found is not None
    return found


def test_seeds_that_agree_give_the_bootstrap_over_rows():
    metric = make_metric("wer")
    statistics = metric.statistics(ANSWERS, REFERENCES)
    found = estimate(Counted(dict.fromkeys(range(8), statistics), metric.value, True).figure())
    expected = evaluate(["wer"], ANSWERS, REFERENCES)["wer"]
    assert found.value == pytest.approx(expected.value)
    assert found.low == pytest.approx(expected.low, abs=3.0)
    assert found.high == pytest.approx(expected.high, abs=3.0)


def test_seeds_that_disagree_widen_the_interval():
    half = [1.0, 0.0] * 50
    alike = estimate(shares(half, half, half).figure())
    apart = estimate(shares([1.0] * 100, half, [0.0] * 100).figure())
    assert alike.value == apart.value == pytest.approx(50.0)
    assert alike.seeds == (1, 2, 3)
    assert apart.high - apart.low > 2 * (alike.high - alike.low)


def test_draws_apart_have_students_interval():
    """Rows say nothing then: each draw has its own."""
    found = estimate(Figure({1: 1.0, 2: 2.0, 3: 3.0}))
    assert found.value == 2.0
    assert found.high == pytest.approx(2.0 + 4.303 / math.sqrt(3.0), abs=1e-3)
    rows = [[1.0, 0.0] * 20, [1.0, 1.0] * 20]
    assert estimate(shares(*rows, crossed=False).figure()).freedom == 1.0


def test_intervals_and_chances_are_those_of_scipy():
    """Its t-test of one sample is the judge."""
    values = [0.3, -0.1, 1.4, 0.8, 2.2, 0.0]
    found = estimate(Figure(dict(enumerate(values))))
    _, chance = ttest_1samp(values, 0.2, alternative="greater")
    assert found.chance_below(0.2) == pytest.approx(chance, rel=1e-9)
    ends = ttest_1samp(values, 0.2).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), rel=1e-9)


def test_one_draw_has_no_interval():
    found = estimate(Figure({4: 2.0}))
    assert found.show() == "2.00 [one draw]"
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert found.chance_below(0.0) == found.chance_above(0.0) == 1.0
    assert Figure({}).estimate() is None


def test_the_same_rows_are_drawn_for_both():
    """One system is right where the other is and once more: rows vary the difference little."""
    first, second = [1.0, 0.0] * 20, [1.0, 0.0] * 19 + [1.0, 1.0]
    figures = shares(first, first).figure(), shares(second, second).figure()
    difference = estimate(figures[1] - figures[0])
    assert difference.value == pytest.approx(2.5)
    assert difference.error < 0.5 * estimate(figures[0]).error
    assert estimate(figures[0] - figures[0]).error == 0.0


def test_only_draws_that_both_have_are_compared():
    difference = Figure({1: 5.0, 2: 6.0, 3: 9.0}) - Figure({2: 1.0, 3: 2.0, 4: 0.0})
    assert difference.values == {2: 5.0, 3: 7.0}


def test_a_difference_of_differences_on_drawn_rows():
    """Both fall alike from the first rows to the last ones, whichever rows are drawn."""
    rows = [1.0] * 30 + [1.0, 0.0] * 15
    first, last = ({seed: list(part) for seed in (1, 2)} for part in (range(30), range(30, 60)))
    one, other = shares(rows, rows), shares(rows, rows)
    fall = one.figure(first) - one.figure(last)
    assert estimate(fall).value == 50.0 and estimate(fall).error > 0.0
    assert estimate(fall - (other.figure(first) - other.figure(last))).error == 0.0


def test_any_function_of_figures():
    ratio = combine(lambda a, b: a / b, Figure({1: 6.0, 2: 8.0}), Figure({1: 3.0, 2: 2.0}))
    assert ratio.values == {1: 2.0, 2: 4.0}
    assert (2.0 * ratio).values == {1: 4.0, 2: 8.0}


def test_a_seed_without_rows_has_no_value():
    assert shares([1.0, 0.0], [1.0, 1.0]).figure({1: [0], 2: []}).values == {1: 100.0}


def test_chances():
    exact = Estimate(3.0, 0.0, 4.0, (1, 2, 3, 4, 5))
    assert exact.chance_below(2.0) == 0.0 and exact.chance_above(2.0) == 1.0
    assert exact.chance_below(3.0) == 1.0
    wide = Estimate(2.776, 1.0, 4.0, (1, 2, 3, 4, 5))
    assert wide.chance_below(0.0) == pytest.approx(0.025, abs=1e-4)
    assert wide.low == pytest.approx(0.0, abs=1e-3)
