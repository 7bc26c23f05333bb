"""The unknown token is never written unless it is asked for, and no answer is given twice."""

import json

import pytest

import kochi

SOURCES = ["fazed", "axe", "öbä", "bad", "zz"]


@pytest.fixture(scope="module")
def predictor(copier):
    return kochi.load(copier)


@pytest.mark.slow
def test_the_unknown_token_is_never_written(predictor):
    """The model has learned to write it; every search leaves it out."""
    for options in ({"beam": 1}, {"beam": 4}, {"beam": 8, "n_best": 8}):
        for prediction in predictor.predict(SOURCES, **options):
            assert all("<unk>" not in answer.tokens for answer in prediction.n_best)
    for prediction in predictor.sample(SOURCES, num_samples=8, temperature=2.0):
        assert all("<unk>" not in answer.tokens for answer in prediction.n_best)
    marked = predictor.predict(SOURCES, unknown="mark")
    assert any("<unk>" in prediction.tokens for prediction in marked)


def test_unknown_characters_are_copied_marked_or_dropped(kochi, copier, predictor):
    def texts(unknown):
        return [one.text for one in predictor.predict(SOURCES, unknown=unknown)]

    assert texts("copy") == SOURCES
    assert texts("mark") == ["fa⟨unk⟩ed", "a⟨unk⟩e", "⟨unk⟩b⟨unk⟩", "bad", "⟨unk⟩⟨unk⟩"]
    dropped = texts("drop")
    assert dropped == texts(None)
    assert set("".join(dropped)) <= set("abcdef")
    lines = "".join(f"{source}\n" for source in SOURCES).encode()
    assert kochi("predict", copier, "--unknown", "copy", stdin=lines).lines == SOURCES


def test_copies_do_not_depend_on_the_batch(predictor):
    alone = [predictor.predict(one, unknown="copy", n_best=3)[0] for one in SOURCES]
    together = predictor.predict(SOURCES, unknown="copy", n_best=3)
    for one, other in zip(alone, together, strict=True):
        assert [answer.text for answer in one.n_best] == [answer.text for answer in other.n_best]


def test_evaluate_copies_and_warns_as_predict_does(kochi, copier, tmp_path):
    file = tmp_path / "data.tsv"
    rows = ("fazed", "axe", "bad", "öbä")
    file.write_text("source\ttarget\n" + "".join(f"{word}\t{word}\n" for word in rows))
    result = kochi("evaluate", copier, file, "--unknown", "copy", "--metric", "exact", "--json")
    assert json.loads(result.out)["scores"]["exact"]["value"] == 100.0
    warning = "kochi: warning: characters never seen in training, in 3 of 4 sources (first in {}): "
    assert result.err.startswith(warning.format("source 1 of the data"))
    assert len(result.err.splitlines()) == 1
    lines = "".join(f"{word}\n" for word in rows).encode()
    result = kochi("predict", copier, stdin=lines)
    assert result.err.startswith(warning.format("standard input:1"))
    assert len(result.err.splitlines()) == 1


def test_compare_warns_for_each_model(kochi, copier, tiny, tmp_path):
    file = tmp_path / "data.tsv"
    file.write_text("source\ttarget\nab\tab\nöb\töb\n")
    result = kochi("compare", copier, tiny, file, "--metric", "exact", "--show", 0)
    assert result.code == 0
    assert [f"{name}: source 2 of the data" in result.err for name in (copier, tiny)] == [True] * 2


@pytest.mark.parametrize("unknown", ["drop", "mark", "copy"])
def test_no_answer_stands_twice_in_n_best(predictor, unknown):
    for prediction in predictor.predict(["axe", "zz", "b"], beam=40, n_best=40, unknown=unknown):
        texts = [answer.text for answer in prediction.n_best]
        assert len(texts) == len(set(texts)) > 10
        scores = [answer.score for answer in prediction.n_best]
        assert scores == sorted(scores, reverse=True)
        assert prediction.text == texts[0]


def test_all_that_were_asked_for_are_given_if_there_are_so_many(kochi, tmp_path):
    """Pieces of BPE that spell the same text in several ways, and a beam that holds more."""
    rows = [f"{'ab' * n}\t{'na' * n}" for n in (1, 2, 3, 4)] * 10
    (tmp_path / "train.tsv").write_text("\n".join(["source\ttarget", *rows]) + "\n")
    (tmp_path / "run.toml").write_text(
        """
        [data]
        kind = "tsv"
        train = "train.tsv"
        source.tokens = "characters"
        target = { tokens = "bpe", vocabulary_size = 12 }
        [model]
        kind = "rnn"
        embedding_size = 8
        hidden_size = 8
        [training]
        max_steps = 2
        batch_tokens = 64
        metric = "loss"
        """
    )
    assert kochi("train", tmp_path / "run.toml").code == 0
    rows = kochi("predict", tmp_path / "model", "--beam", 60, "--n-best", 5, stdin=b"abab\n").lines
    texts = [row.split("\t")[2].split() for row in rows]
    assert len(texts) == 5 and all(texts.count(text) == 1 for text in texts)


def test_copying_needs_text_and_attention(kochi, task, pictures_task):
    result = kochi("train", pictures_task, "--set", "search.unknown=copy")
    assert result.code == 2
    assert "search.unknown = 'copy' needs sources of text; use 'mark' or 'drop'" in result.err
