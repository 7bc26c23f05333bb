"""Judge: the same rows drawn and scored from the text by the libraries themselves."""

import time

import jiwer
import numpy as np
import pytest
import sacrebleu

from kochi.metrics import evaluate
from kochi.metrics.bootstrap import interval, resampled_totals, resampled_values, two_sided_p
from kochi.metrics.overlap import Bleu

ROWS = 11
HYPOTHESES = [f"the {word} sat on the mat number {i % 3}" for i, word in enumerate("abcdefghijk")]
REFERENCES = [f"the {word} sat at the mat {i % 2}" for i, word in enumerate("abxdefxhijx")]
LISTS = [[reference] for reference in REFERENCES]


def _drawn_rows(resamples: int, seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(ROWS, size=ROWS) for _ in range(resamples)]


def _judge(name: str, hypotheses: list[str], references: list[str]) -> float:
    match name:
        case "bleu":
            return sacrebleu.BLEU(force=True).corpus_score(hypotheses, [references]).score
        case "chrf":
            return sacrebleu.CHRF().corpus_score(hypotheses, [references]).score
        case "wer":
            return 100 * jiwer.wer(references, hypotheses)
        case "cer":
            return 100 * jiwer.cer(references, hypotheses)
    return 100 * float(np.mean([h == r for h, r in zip(hypotheses, references, strict=True)]))


@pytest.mark.parametrize("name", ["bleu", "chrf", "wer", "cer", "exact"])
def test_the_interval_is_that_of_brute_force(name: str):
    values = [
        _judge(name, [HYPOTHESES[row] for row in drawn], [REFERENCES[row] for row in drawn])
        for drawn in _drawn_rows(60, seed=5)
    ]
    score = evaluate([name], HYPOTHESES, LISTS, resamples=60, confidence=80.0, seed=5)[name]
    assert (score.low, score.high) == pytest.approx(tuple(np.percentile(values, [10, 90])))
    assert name == "exact" or score.low < score.value < score.high


def test_one_row_has_no_spread():
    score = evaluate(["wer"], ["a x"], [["a b"]], resamples=50)["wer"]
    assert (score.low, score.value, score.high) == (50.0, 50.0, 50.0)


def test_the_seed_decides():
    first, again, other = (
        evaluate(["wer"], HYPOTHESES, LISTS, resamples=20, seed=seed)["wer"] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_the_interval_of_a_share_is_about_that_of_the_normal_distribution():
    # 3,000 of 10,000 rows right: 30 % with a standard error of sqrt(.3 * .7 / 10000) = 0.458 %,
    # which makes 30 - 1.96 * 0.458 to 30 + 1.96 * 0.458.
    hypotheses = ["a"] * 3000 + ["b"] * 7000
    score = evaluate(["exact"], hypotheses, [["a"]] * 10_000)["exact"]
    assert (score.low, score.high) == pytest.approx((29.1, 30.9), abs=0.15)


def test_twelve_thousand_rows_take_less_than_a_second():
    metric = Bleu()
    statistics = np.tile(metric.statistics(HYPOTHESES, LISTS), (12_000 // ROWS, 1))
    start = time.process_time()
    interval(resampled_values(resampled_totals(statistics, 1000, 1), metric.value), 95.0)
    assert time.process_time() - start < 1.0


def test_p_by_hand():
    differences = np.array([-1.0, 0.0, 1.0, 4.0])  # mean 1: -2, -1, 0, 3
    assert two_sided_p(differences, 2.0) == pytest.approx(3 / 5)
    assert two_sided_p(differences, -3.5) == pytest.approx(1 / 5)
