"""Answers do not depend on what shares their batch, as far as that is promised."""

import pytest

import kochi
from kochi.inference.sources import EncodedSource, EncodedSources

WORDS = ["fade", "a", "bead", "cab", "dad", "ebb", "facade", "b", "ace", "deed"] * 3


def test_in_float32_answers_do_not_depend_on_the_batch(tiny):
    model = kochi.load(tiny)
    alone = [model.predict(word, n_best=2)[0] for word in WORDS[:10]] * 3
    for batch_size in (2, 7, 64):
        together = model.predict(WORDS, n_best=2, batch_size=batch_size)
        for one, other in zip(alone, together, strict=True):
            assert [a.text for a in one.n_best] == [a.text for a in other.n_best]
            assert one.score == pytest.approx(other.score, abs=1e-5)


def test_in_bfloat16_scores_are_nearly_the_same_in_every_batch(tiny):
    model = kochi.load(tiny, precision="bf16")
    alone = [model.predict(word)[0] for word in WORDS[:10]] * 3
    together = model.predict(WORDS, batch_size=64)
    for one, other in zip(alone, together, strict=True):
        assert one.score == pytest.approx(other.score, abs=0.05)


def test_the_help_says_what_differs(kochi, tiny):
    text = " ".join(kochi("predict", "--help").out.split())
    assert "With bf16, a prediction may differ" in text
    assert "reads at most" not in text


def test_a_long_source_takes_no_more_memory_than_those_of_training(tiny):
    """A batch holds as many positions as the longest sources of training would."""
    model = kochi.load(tiny)
    lengths = [200, 60, 6, 6, 5, 5, 4, 3, 2, 1]
    rows = EncodedSources(EncodedSource("", [0] * length) for length in lengths)
    batches = model._batches(rows, 4)
    assert [place for batch in batches for place in batch] == list(range(10))
    assert batches[:3] == [[0], [1], [2, 3, 4, 5]]
    texts = [word * 9 for word in WORDS]
    assert len(model.predict(texts, batch_size=4)) == len(texts)
