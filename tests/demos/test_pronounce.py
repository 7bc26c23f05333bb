"""The demo, on a handful of words and with a model that learns nothing."""

import shutil

import pytest


@pytest.fixture(scope="module")
def demo(load_demo):
    """The demo's module."""
    return load_demo("pronounce")


def test_dictionary_without_stress(demo):
    rows = demo.pronunciations()
    assert len(rows) == len(set(rows)) > 130_000
    assert ("hello", "HH AH L OW") in rows and ("hello", "HH EH L OW") in rows
    assert ("can't", "K AE N T") in rows
    phones = {phone for _, answer in rows for phone in answer.split()}
    assert len(phones) == 39
    assert all(phone.isalpha() and phone.isupper() for phone in phones)


def test_words_are_split_by_word_in_the_shares_meant(demo):
    words = {word for word, _ in demo.pronunciations()}
    counts = dict.fromkeys(("train", "dev", "test"), 0)
    for word in words:
        counts[demo.split_of(word)] += 1
    for split, share in demo.SHARES.items():
        assert counts[split] / len(words) == pytest.approx(share, rel=0.05)
    assert demo.split_of("photograph") == demo.split_of("photograph")


def test_invented_words_are_not_in_the_dictionary(demo):
    words = {word for word, _ in demo.pronunciations()}
    assert len([word for word in demo.INVENTED if word not in words]) >= demo.NUM_INVENTED


@pytest.mark.slow
def test_runs_from_dictionary_to_pictures(demo, tmp_path, monkeypatch, capsys):
    rows = demo.pronunciations()[:: len(demo.pronunciations()) // 600]
    (tmp_path / "recipes").mkdir()
    shutil.copy(demo.RECIPE, tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "pronunciations", lambda: rows)
    monkeypatch.setattr(demo, "RECIPE", tmp_path / "recipes" / demo.RECIPE.name)
    monkeypatch.setattr(demo, "FOLDER", tmp_path / "demo")
    small = ("training.max_steps=2", "model.hidden_size=8", "model.embedding_size=8")
    changes = [part for change in small for part in ("--set", change)]
    assert demo.main(changes) == 0
    out = capsys.readouterr().out
    assert "$ kochi train recipes/pronounce.toml --overwrite" in out
    assert "WER " in out and "PER " in out and "95 % intervals" in out
    assert out.count("(invented)") == 5
    assert "predict demo/model" in out
    assert (tmp_path / "demo" / "alignments.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "demo" / "model" / "model.safetensors").exists()
    assert demo.main(["--no-training"]) == 0


def test_without_a_model_it_says_so(demo, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "FOLDER", tmp_path)
    assert demo.main(["--no-training"]) == 2
    assert "no such model folder" in capsys.readouterr().err
