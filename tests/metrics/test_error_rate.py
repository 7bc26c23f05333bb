"""Judges: jiwer called directly, and cases by hand."""

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kochi.metrics import METRICS, corpus_metric, higher_is_better
from kochi.metrics.error_rate import ErrorRate

HYPOTHESES = ["the cat sat", "a  dog", "", "one two three four", "x"]
REFERENCES = ["the cat sits down", "a dog ran", "gone", "one three four", "x"]
LISTS = [[reference] for reference in REFERENCES]

texts = st.lists(st.sampled_from(["AA", "B", "K"]), max_size=4).map(" ".join)


@pytest.mark.parametrize("name", ["wer", "per"])
def test_wer_and_per_are_jiwers(name: str):
    expected = 100 * jiwer.wer(REFERENCES, HYPOTHESES)
    assert corpus_metric(name, HYPOTHESES, LISTS) == pytest.approx(expected)


def test_cer_is_jiwers():
    expected = 100 * jiwer.cer(REFERENCES, [" ".join(text.split()) for text in HYPOTHESES])
    assert corpus_metric("cer", HYPOTHESES, LISTS) == pytest.approx(expected)


def test_errors_are_summed_before_dividing():
    # 1 error in 2 words and 1 in 8: 2 / 10, not the mean of the two rates.
    hypotheses, references = ["a x", "a b c d e f g x"], [["a b"], ["a b c d e f g h"]]
    assert corpus_metric("wer", hypotheses, references) == pytest.approx(20.0)


def test_a_row_takes_the_reference_with_the_fewest_errors():
    # "a b" is 2 errors from the first, 1 from the second (3 words): 1 / 3.
    assert corpus_metric("wer", ["a b"], [["c d", "a b c"]]) == pytest.approx(100 / 3)


def test_of_equally_close_references_the_longest_counts():
    for references in (["a", "a b c"], ["a b c", "a"]):
        assert ErrorRate("words").statistics(["a b"], [references]).tolist() == [[1.0, 3.0]]


def test_case_can_be_ignored():
    assert corpus_metric("wer", ["The Cat"], [["the cat"]]) == pytest.approx(100.0)
    assert corpus_metric("wer", ["The Cat"], [["the cat"]], lowercase=True) == 0.0
    assert corpus_metric("cer", ["The Cat"], [["tHE cat"]], lowercase=True) == 0.0


def test_empty_texts_count_as_in_jiwer():
    assert corpus_metric("wer", [""], [[""]]) == 0.0
    assert corpus_metric("wer", ["x y"], [[""]]) == pytest.approx(100 * jiwer.wer([""], ["x y"]))
    assert corpus_metric("wer", [""], [["x y"]]) == pytest.approx(100.0)
    assert corpus_metric("cer", [""], [["xy", ""]]) == 0.0


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("space", ["\n", "\r\n", "\t", "  ", "\u2028", "\u3000", "\n\n"])
def test_all_white_space_is_one_space_on_both_sides(name: str, space: str):
    text = space.join(["K AE T", "D AO G"])
    plain, perfect = "K AE T D AO G", 100.0 if higher_is_better(name) else 0.0
    for hypothesis, reference in ((text, plain), (plain, text), (text + space, text)):
        assert corpus_metric(name, [hypothesis], [[reference]]) == pytest.approx(perfect)
    wrong = corpus_metric(name, ["K AE T D AO X"], [[plain]])
    assert corpus_metric(name, [f"K AE T{space}D AO X"], [[text]]) == wrong != perfect


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_the_best_reference_is_the_best_for_jiwer_too(rows: list[tuple[str, list[str]]]):
    counted = ErrorRate("words").statistics([row[0] for row in rows], [row[1] for row in rows])
    for (hypothesis, references), (errors, length) in zip(rows, counted.tolist(), strict=True):
        assert (errors, -length) == min(_errors(hypothesis, text) for text in references)


def _errors(hypothesis: str, reference: str) -> tuple[int, int]:
    output = jiwer.process_words(reference, hypothesis)
    errors = output.substitutions + output.insertions + output.deletions
    return errors, -len(reference.split())
