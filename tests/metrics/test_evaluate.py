import json
import subprocess
import sys

import pytest

from kochi import config
from kochi.errors import UserError
from kochi.metrics import METRICS, corpus_metric, evaluate, higher_is_better, pronunciation


def test_the_names_are_those_of_the_run_file():
    assert tuple(METRICS) == ("bleu", "chrf", "wer", "cer", "per", "exact")
    tree = {"data": {"kind": "tsv", "train": "x"}, "model": {"kind": "rnn"}}
    for name in (*METRICS, "loss"):
        run = config.check_run(tree | {"training": {"metric": name}}, "run.toml")
        assert run.training.metric == name
    with pytest.raises(UserError, match=r"training\.metric: got 'blue', .*; did you mean 'bleu'"):
        config.check_run(tree | {"training": {"metric": "blue"}}, "run.toml")


def test_directions():
    assert [name for name in METRICS if higher_is_better(name)] == ["bleu", "chrf", "exact"]
    assert not higher_is_better("loss")
    with pytest.raises(ValueError, match="metric: got 'rouge', expected one of 'bleu', 'chrf'"):
        higher_is_better("rouge")


@pytest.mark.parametrize("name", METRICS)
def test_value_is_the_same_with_and_without_interval(name: str):
    hypotheses, references = ["a b c d e", "f"], [["a b c d x"], ["f", "g"]]
    score = evaluate([name], hypotheses, references, resamples=3)[name]
    assert score.value == corpus_metric(name, hypotheses, references)
    assert 0.0 <= score.low <= score.high <= 100.0 + 1e-9


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    ("hypotheses", "references"),
    [([""], [[""]]), ([""], [["a b"]]), (["a b"], [[""]]), (["", "  "], [["", "a"], [" "]])],
)
def test_empty_texts_do_not_crash(name: str, hypotheses: list[str], references: list[list[str]]):
    score = evaluate([name], hypotheses, references, resamples=5)[name]
    assert all(number == number and abs(number) < 1e6 for number in (score.value, score.high))


@pytest.mark.parametrize("name", METRICS)
def test_perfect_answers(name: str):
    texts = ["a b c d e f", "the quick brown fox jumps"]
    expected = 100.0 if higher_is_better(name) else 0.0
    assert corpus_metric(name, texts, [[text] for text in texts]) == pytest.approx(expected)


def test_json_and_text_of_a_score():
    score = evaluate(["wer"], ["a x"], [["a b"]], resamples=10)["wer"]
    found = json.loads(json.dumps(score.to_dict()))
    assert found["signature"].startswith("nrefs:1|case:mixed|unit:words|best:fewest-errors|jiwer:")
    del found["signature"]
    assert found == {"name": "wer", "value": 50.0, "low": 50.0, "high": 50.0, "confidence": 95.0}
    assert str(score) == "WER 50.0 % [50.0, 50.0]"


def test_the_signature_says_that_case_is_ignored():
    scores = evaluate(METRICS, ["A"], [["a"]], lowercase=True, resamples=2)
    assert all(score.signature.count("case:lc") == 1 for score in scores.values())


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        (["a"], [["a"], ["b"]], "references: 2 rows, but there are 1 hypotheses"),
        ([], [], "hypotheses: no rows"),
        (["a", "b"], [["a"], []], r"row 2 is \[\]; expected a list of strings"),
        (["a"], ["abc"], "row 1 is 'abc'; expected a list of strings"),
    ],
)
def test_wrong_rows_are_refused(hypotheses: list[str], references: list, message: str):
    with pytest.raises(ValueError, match=message):
        evaluate(["wer"], hypotheses, references)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"resamples": 0}, "resamples = 0"), ({"confidence": 100.0}, "confidence = 100.0")],
)
def test_wrong_options_are_refused(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        evaluate(["wer"], ["a"], [["a"]], **options)


def test_pronunciation_counts_words_with_any_phone_wrong():
    hypotheses = ["K AE T", "D AA G", "F IH SH", "B ER"]
    references = [["K AE T"], ["D AO G", "D AA G Z"], ["F IH SH", "F"], ["B ER D"]]
    scores = pronunciation(hypotheses, references)
    assert scores["wer"].value == 50.0
    # The closest to "D AA G" are both one phone away; the longer counts: (0+1+0+1) / (3+4+3+3).
    assert scores["per"].value == pytest.approx(100 * 2 / 13)
    assert scores["wer"].low <= 50.0 <= scores["wer"].high
    exact = evaluate(["exact"], hypotheses, references)["exact"]
    assert (scores["wer"].low, scores["wer"].high) == (100 - exact.high, 100 - exact.low)


def test_importing_kochi_does_not_load_the_metric_libraries():
    code = "import sys, kochi; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"sacrebleu", "jiwer", "matplotlib"} & set(loaded.stdout.split())
