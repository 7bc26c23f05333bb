"""The demo on pictures: what it names, how it splits, and that it runs to its end."""

import pytest
from PIL import Image


@pytest.fixture(scope="module")
def demo(load_demo):
    """The demo's module."""
    return load_demo("look")


def test_files_are_named_as_twemoji_names_them(demo):
    assert demo.file_name("\N{SNOWMAN}\ufe0f") == "2603.png"
    assert demo.file_name("\u2764\ufe0f\u200d\U0001f525") == "2764-fe0f-200d-1f525.png"


def test_every_emoji_has_a_picture_of_its_own(demo):
    found = demo.emoji_names()
    assert len(found) > 3500
    assert len(set(found.values())) == len(found)
    assert found["waving hand light skin tone"].name == "1f44b-1f3fb.png"
    with Image.open(found["waving hand"]) as picture:
        assert picture.size == (72, 72)


def test_dev_and_test_are_unseen_combinations_of_seen_words(demo):
    splits = demo.split_names(sorted(demo.emoji_names()))
    words = {word for name in splits["train"] for word in name.split()}
    for split in ("dev", "test"):
        assert len(splits[split]) > 50
        assert all("skin tone" in name for name in splits[split])
        assert words.issuperset(word for name in splits[split] for word in name.split())
    every = [name for names in splits.values() for name in names]
    assert len(set(every)) == len(every) == len(demo.emoji_names())
    assert demo.split_names(sorted(demo.emoji_names())) == splits


def test_a_word_that_would_be_missing_in_training_stays_there(demo):
    alone = next(f"{n} skin tone" for n in range(1000) if demo.split_of(f"{n} skin tone") == "test")
    assert demo.split_names([alone])["train"] == [alone]


@pytest.mark.slow
def test_it_runs_to_its_end(demo, tmp_path, monkeypatch, capfd):
    """A handful of emoji, and a model that has learned nothing."""
    names = demo.emoji_names()
    few = {name: names[name] for name in list(names)[:60]}
    few |= {name: path for name, path in names.items() if name.startswith("waving hand")}
    few |= {name: path for name, path in names.items() if name.startswith("thumbs up")}
    monkeypatch.setattr(demo, "emoji_names", lambda: few)
    held_out = {"waving hand light skin tone": "test", "thumbs up dark skin tone": "dev"}
    monkeypatch.setattr(demo, "split_of", lambda name: held_out.get(name, "train"))
    monkeypatch.setattr(demo, "FOLDER", tmp_path / "demo-image")
    recipe = tmp_path / "look.toml"
    recipe.write_text(demo.RECIPE.read_text().replace("../demo-image", "demo-image"))
    monkeypatch.setattr(demo, "RECIPE", recipe)
    assert demo.main(["--set", "training.max_steps=2", "--set", "model.decoder_layers=1"]) == 0
    out = capfd.readouterr().out
    assert "names without an error" in out and "Type next:" in out
    assert (tmp_path / "demo-image" / "looks.png").exists() or "empty" in out
