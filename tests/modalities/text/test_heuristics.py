import pytest

from kochi.modalities.text.heuristics import count_side, guess_run, guess_tokens

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


LABELS = ["odd", "even"] * 20


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (LABELS, "whitespace"),
        ([f"class{i % 20}" for i in range(200)], "whitespace"),
        (["New York", "Paris", "Rome"] * 20, "whitespace"),
        ([f"word{i % 60}" for i in range(200)], "characters"),  # few rows a word: not a closed set
        (["hello", "low"], "characters"),
    ],
)
def test_a_target_of_few_labels_is_words(texts, kind):
    assert guess_tokens(count_side(texts), target=True) == kind


def test_a_source_of_few_lemmas_stays_characters():
    lemmas = count_side([f"lemma{i % 20}" for i in range(400)])
    forms = count_side([f"form{i}" for i in range(400)])
    guess = guess_run(lemmas, forms, 400)
    assert (guess.source, guess.target) == ("characters", "characters")


@pytest.mark.parametrize("num_pairs", [1, 20, 100, 800, 3_000, 8_000, 30_000, 1_000_000])
@pytest.mark.parametrize("texts", [["hello", "world"], SENTENCES])
def test_schedule_fits_the_steps(texts, num_pairs):
    side = count_side(texts)
    guess = guess_run(side, side, num_pairs)
    length = num_pairs * max(side.characters_per_text + 1, 1)
    steps = guess.epochs * max(1, round(length / guess.batch_tokens))
    assert 1 <= guess.warmup_steps <= steps / 10
    assert guess.evaluate_every <= steps / 10


def test_size_and_steps_grow_with_the_pairs():
    words = count_side(["hello", "world", "kochi"])
    rows = [100, 300, 800, 3_000, 8_000, 100_000]
    guesses = [guess_run(words, words, count) for count in rows]
    for name in ("hidden_size", "embedding_size", "batch_tokens"):
        numbers = [getattr(guess, name) for guess in guesses]
        assert numbers == sorted(numbers)
        assert numbers[0] < numbers[-1]
    epochs = [guess.epochs for guess in guesses]
    assert epochs == sorted(epochs, reverse=True)


def test_sentences_get_the_larger_model_at_any_number_of_pairs():
    sentences = count_side([f"{text} number{i} of many{i * 7}" for i, text in enumerate(SENTENCES)])
    words = count_side(["hello", "world", "kochi"])
    sizes = [guess_run(side, side, 800).hidden_size for side in (words, sentences)]
    assert sizes == [128, 256]


def test_large_translation_gets_a_transformer_with_shared_pieces():
    side = count_side([f"{text} number{i} of many{i * 7}" for i, text in enumerate(SENTENCES)])
    guess = guess_run(side, side, 100_000)
    assert (guess.model, guess.shared, guess.metric) == ("transformer", True, "bleu")
    assert guess.vocabulary_size == 8000
    assert guess.batch_tokens == 4096
    assert guess.epochs < guess_run(side, side, 1000).epochs
    assert guess.evaluate_every == 0  # few epochs: after each


def test_scripts_that_differ_do_not_share():
    latin = count_side([f"some words number{i} here and there{i}" for i in range(50)])
    greek = count_side([f"καλα λογια αριθμος{i} εδω και εκει{i}" for i in range(50)])
    assert not guess_run(latin, greek, 50_000).shared


def test_both_sides_of_short_sentences_are_cut_alike():
    source = count_side([f"red shoe {n}" for n in "abcdefghijkl"])
    target = count_side([f"ein roter Schuh der Firma {n}" for n in "abcdefghijkl"])
    guess = guess_run(source, target, 12)
    assert (guess.source, guess.target) == ("bpe", "bpe")


def test_labels_are_right_or_wrong():
    guess = guess_run(count_side(["aca", "dd"] * 60), count_side(["even", "odd"] * 60), 120)
    assert (guess.target, guess.metric) == ("whitespace", "exact")


def test_hangul_is_read_letter_by_letter():
    sounds = count_side(["k a", "n a", "t a", "k a n a"] * 10)
    hangul = guess_run(count_side(["가나", "다", "가"] * 10), sounds, 30)
    latin = guess_run(count_side(["kana", "ta", "ka"] * 10), sounds, 30)
    assert (hangul.source_normalization, latin.source_normalization) == ("nfd", "nfc")
