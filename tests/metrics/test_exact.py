import pytest

from kochi.metrics import corpus_metric, evaluate


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


def test_rows_with_any_error_are_the_others():
    hypotheses, references = ["K AE T", "D AA", "F"], [["K AE T"], ["D AO", "D"], ["G"]]
    options = {"wer": "rows", "resamples": 50}
    wer = evaluate(["wer"], hypotheses, references, **options)["wer"]
    exact = evaluate(["exact"], hypotheses, references, resamples=50)["exact"]
    assert wer.value == pytest.approx(100 * 2 / 3)
    assert (wer.low, wer.high) == pytest.approx((100 - exact.high, 100 - exact.low))
    assert wer.signature == "nrefs:var|case:mixed|exact:any-reference|wer:rows-with-any-error"
    assert evaluate(["wer"], hypotheses, references)["wer"].value == pytest.approx(100 * 2 / 6)


def test_an_unknown_unit_is_refused():
    with pytest.raises(ValueError, match="wer = 'phones'; expected 'words' or 'rows'"):
        evaluate(["wer"], ["a"], [["a"]], wer="phones")


def test_empty_answers_and_references():
    assert corpus_metric("exact", ["", "", "x"], [[""], ["x"], [""]]) == pytest.approx(100 / 3)
