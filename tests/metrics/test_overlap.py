"""Judges: sacrebleu called directly, and a BLEU worked out by hand."""

import math

import pytest
import sacrebleu

from kochi.metrics import corpus_metric, evaluate

HYPOTHESES = [
    "the cat sat on the mat .",
    "There is a Dog, in the park!",
    "a man rides a horse",
    "two boys",
    "",
]
REFERENCES = [
    ["the cat is on the mat .", "a cat sat on the mat ."],
    ["there is a dog in the park.", "A dog is in the park!"],
    ["a man is riding a horse", "a man rides his horse"],
    ["two young boys are playing", "two boys play"],
    ["nothing", "silence"],
]
STREAMS = [list(stream) for stream in zip(*REFERENCES, strict=True)]


@pytest.mark.parametrize("tokenize", ["13a", "none", "char", "intl"])
@pytest.mark.parametrize("lowercase", [False, True])
def test_bleu_is_sacrebleus(tokenize: str, lowercase: bool):
    judge = sacrebleu.BLEU(tokenize=tokenize, lowercase=lowercase, force=True)
    expected = judge.corpus_score(HYPOTHESES, STREAMS)
    score = evaluate(
        ["bleu"], HYPOTHESES, REFERENCES, tokenize=tokenize, lowercase=lowercase, resamples=2
    )["bleu"]
    assert score.value == expected.score > 0
    assert score.signature == str(judge.get_signature())


@pytest.mark.parametrize("lowercase", [False, True])
def test_chrf_is_sacrebleus(lowercase: bool):
    judge = sacrebleu.CHRF(lowercase=lowercase)
    expected = judge.corpus_score(HYPOTHESES, STREAMS)
    score = evaluate(["chrf"], HYPOTHESES, REFERENCES, lowercase=lowercase, resamples=2)["chrf"]
    assert score.value == expected.score > 0
    assert score.signature == str(judge.get_signature())


def test_rows_may_have_different_numbers_of_references():
    references = [["the cat is on the mat .", "a cat sat on the mat ."], ["a dog"]]
    judge = sacrebleu.BLEU(force=True)
    streams = [["the cat is on the mat .", "a dog"], ["a cat sat on the mat .", None]]
    expected = judge.corpus_score(HYPOTHESES[:2], streams).score  # pyright: ignore[reportArgumentType]
    score = evaluate(["bleu"], HYPOTHESES[:2], references, resamples=2)["bleu"]
    assert score.value == expected
    assert score.signature.startswith("nrefs:var|")


def test_bleu_by_hand():
    # Of "a b c d e f" against "a b c d e x y": 5/6 words, 4/5 pairs, 3/4 triples, 2/3 fours are
    # shared, and the answer is one word short: brevity penalty exp(1 - 7/6).
    precisions = 5 / 6 * 4 / 5 * 3 / 4 * 2 / 3
    expected = 100 * math.exp(1 - 7 / 6) * precisions ** (1 / 4)
    found = corpus_metric("bleu", ["a b c d e f"], [["a b c d e x y"]], tokenize="none")
    assert found == pytest.approx(expected)


def test_tokenisation_none_cuts_at_spaces_only():
    glued, apart = ["a b c d."], [["a b c d ."]]
    assert corpus_metric("bleu", glued, apart, tokenize="13a") == pytest.approx(100.0)
    assert corpus_metric("bleu", glued, apart, tokenize="none") < 90.0


def test_an_unknown_tokenizer_is_refused():
    with pytest.raises(ValueError, match=r"tokenize = 'words'; expected one of .*13a"):
        corpus_metric("bleu", ["a"], [["a"]], tokenize="words")
