"""Judges: sacrebleu's own paired bootstrap, and brute force."""

import json
from collections.abc import Sequence

import jiwer
import numpy as np
import pytest
from sacrebleu import BLEU
from sacrebleu.significance import PairedTest, Result

from kochi.metrics import compare

ROWS = 60
REFERENCES = [f"a b c d e f g h {i} {i + 1}" for i in range(ROWS)]
FIRST = [t if i % 2 else t.replace("c d", "x") for i, t in enumerate(REFERENCES)]
SECOND = [t if i % 3 else t.replace("f g", "y y") for i, t in enumerate(REFERENCES)]
LISTS = [[reference] for reference in REFERENCES]


def test_difference_and_interval_are_those_of_brute_force():
    generator = np.random.default_rng(4)
    differences = []
    for _ in range(40):
        drawn = generator.integers(ROWS, size=ROWS)
        first, second = (
            jiwer.wer([REFERENCES[i] for i in drawn], [system[i] for i in drawn])
            for system in (FIRST, SECOND)
        )
        differences.append(100 * (second - first))
    result = compare("wer", FIRST, SECOND, LISTS, resamples=40, confidence=90.0, seed=4)
    expected = 100 * (jiwer.wer(REFERENCES, SECOND) - jiwer.wer(REFERENCES, FIRST))
    assert result.difference == pytest.approx(expected)
    assert (result.low, result.high) == pytest.approx(tuple(np.percentile(differences, [5, 95])))


def test_p_agrees_with_sacrebleus_two_sided_randomisation_test():
    systems: list[tuple[str, Sequence[str]]] = [("first", FIRST), ("second", SECOND)]
    test = PairedTest(systems, {"BLEU": BLEU()}, [REFERENCES], test_type="ar", n_samples=2000)
    judged = test()[1]["BLEU"][1]
    assert isinstance(judged, Result)
    assert judged.p_value is not None
    assert 0.15 < judged.p_value < 0.85  # else the two could agree by chance
    result = compare("bleu", FIRST, SECOND, LISTS)
    assert result.p_value == pytest.approx(judged.p_value, abs=0.07)


def test_p_agrees_with_mcnemars_test():
    # 20 rows only the first gets right, 30 only the second: z = 10 / sqrt(50), two-sided p 0.157.
    first = ["a"] * 20 + ["b"] * 30 + ["a"] * 100
    second = ["b"] * 20 + ["a"] * 30 + ["a"] * 100
    result = compare("exact", first, second, [["a"]] * 150, resamples=4000)
    assert result.p_value == pytest.approx(0.157, abs=0.04)


def test_a_system_does_not_differ_from_itself():
    result = compare("chrf", FIRST, FIRST, LISTS, resamples=30)
    assert (result.difference, result.low, result.high) == (0.0, 0.0, 0.0)
    assert result.p_value == 1.0
    assert result.better is None


@pytest.mark.parametrize("name", ["wer", "exact", "bleu"])
def test_better_knows_the_direction_of_the_metric(name: str):
    assert compare(name, FIRST, REFERENCES, LISTS, resamples=100).better == "second"
    assert compare(name, REFERENCES, FIRST, LISTS, resamples=100).better == "first"


def test_a_clear_difference_has_a_small_p():
    assert compare("exact", FIRST, REFERENCES, LISTS, resamples=199).p_value == 1 / 200


def test_it_is_json():
    result = compare("exact", FIRST, SECOND, LISTS, resamples=10)
    assert json.loads(json.dumps(result.to_dict()))["difference"] == pytest.approx(100 / 6)


def test_both_systems_need_all_rows():
    with pytest.raises(ValueError, match="references: 60 rows, but there are 59 hypotheses"):
        compare("wer", FIRST, SECOND[1:], LISTS)
