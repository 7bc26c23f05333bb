import numpy as np
import pytest

from kochi.metrics import evaluate
from kochi.metrics.names import make_metric
from kochi.studies.estimates import Estimate, Measured, exponent, of_rounds

ANSWERS = ["a b c", "a x", "b", "c d e f", "x y"] * 8
REFERENCES = [["a b c"], ["a b"], ["b"], ["c d e g"], ["z y"]] * 8


def shares(*seeds):
    """Right answers and rows, for each seed."""
    rows = tuple(np.array([(right, 1.0) for right in seed], dtype=np.float64) for seed in seeds)
    return Measured(rows, lambda totals: float(100.0 * totals[0] / totals[1]))


def test_one_seed_gives_the_bootstrap_over_rows():
    metric = make_metric("wer")
    measured = Measured((metric.statistics(ANSWERS, REFERENCES),), metric.value)
    found = measured.estimate()
    expected = evaluate(["wer"], ANSWERS, REFERENCES)["wer"]
    assert found.value == pytest.approx(expected.value)
    assert found.low == pytest.approx(expected.low, abs=3.0)
    assert found.high == pytest.approx(expected.high, abs=3.0)


def test_seeds_that_disagree_widen_the_interval():
    half = [1.0, 0.0] * 50
    alike = shares(half, half, half).estimate()
    apart = shares([1.0] * 100, half, [0.0] * 100).estimate()
    assert alike.value == apart.value == pytest.approx(50.0)
    assert alike.count == 3
    assert apart.high - apart.low > 2 * (alike.high - alike.low)


def test_the_same_rows_are_drawn_for_both():
    """One system is right where the other is and once more: the difference cannot be below 0."""
    first, second = [1.0, 0.0] * 20, [1.0, 0.0] * 19 + [1.0, 1.0]
    difference = shares(second).minus(shares(first))
    assert difference.value == pytest.approx(2.5)
    assert difference.low == 0.0
    assert shares(first).minus(shares(first)) == Estimate(0.0, 0.0, 0.0, 1)


def test_some_rows():
    assert shares([1.0, 0.0, 0.0, 1.0]).of_rows([0, 3]).estimate().value == 100.0


def test_rounds():
    assert of_rounds([4.0, 1.0, 2.0, 3.0]) == Estimate(2.5, 1.0, 4.0, 4)


def test_the_exponent_of_noisy_rounds_lies_in_its_interval():
    draw = np.random.default_rng(3)
    lengths = [8.0, 16.0, 32.0, 64.0]
    rounds = [[n**1.5 * draw.uniform(0.9, 1.1) for n in lengths] for _ in range(5)]
    found = exponent(lengths, rounds)
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(1.5, abs=0.1)
    assert found.high - found.low < 0.3
