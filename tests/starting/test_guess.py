import pytest

from kochi.starting.guess import count_side, guess_run, guess_tokens

SENTENCES = [f"the {a} dog saw a {b} cat near the house" for a in "abcdefg" for b in "hijklmnop"]


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["hello", "world", "kochi"], "characters"),
        (["HH AH L", "L OW HH", "AH OW"] * 10, "whitespace"),
        ([f"{text} number{i} of many{i * 7}" for i, text in enumerate(SENTENCES)], "bpe"),
        (["今日は良い天気ですねと彼は言いましたがそうでもない"] * 3, "characters"),
    ],
)
def test_tokens(texts, kind):
    assert guess_tokens(count_side(texts)) == kind


def test_large_translation_gets_a_transformer_with_shared_pieces():
    side = count_side([f"{text} number{i} of many{i * 7}" for i, text in enumerate(SENTENCES)])
    guess = guess_run(side, side, 100_000)
    assert (guess.model, guess.shared, guess.metric) == ("transformer", True, "bleu")
    assert guess.vocabulary_size == 8000
    assert guess.batch_tokens == 4096
    assert guess.epochs < guess_run(side, side, 1000).epochs


def test_scripts_that_differ_do_not_share():
    latin = count_side([f"some words number{i} here and there{i}" for i in range(50)])
    greek = count_side([f"καλα λογια αριθμος{i} εδω και εκει{i}" for i in range(50)])
    assert not guess_run(latin, greek, 50_000).shared
