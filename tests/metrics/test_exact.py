import pytest

from kochi.metrics import corpus_metric


def test_any_reference_will_do():
    hypotheses = ["K AE T", "D AA G", "F", ""]
    references = [["K AE T"], ["D AO G", "D AA G"], ["F F"], ["X"]]
    assert corpus_metric("exact", hypotheses, references) == 50.0


def test_white_space_around_and_between_does_not_count():
    assert corpus_metric("exact", [" K  AE T\n"], [["K AE T"]]) == 100.0
    assert corpus_metric("exact", ["KAE T"], [["K AE T"]]) == 0.0


@pytest.mark.parametrize(("lowercase", "expected"), [(False, 0.0), (True, 100.0)])
def test_case(lowercase: bool, expected: float):
    assert corpus_metric("exact", ["Abc"], [["aBC"]], lowercase=lowercase) == expected


def test_empty_answers_and_references():
    assert corpus_metric("exact", ["", "", "x"], [[""], ["x"], [""]]) == pytest.approx(100 / 3)
