"""The alignment that is shown says something, and nothing is left out of it in silence."""

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from kochi.view import figures
from tests.hearing import frames_of
from tests.seeing import picture_of, save


def texts_of(path):
    root = ElementTree.parse(path).getroot()
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def page_of(path):
    """Return the title and the data of a page."""
    text = path.read_text("utf-8")
    title = re.search("<title>(.*?)</title>", text)
    data = re.search(r'id="data">(.*?)</script>', text)
    assert title is not None and data is not None
    return title[1], json.loads(data[1])


def test_links_from_spelling_to_sound(kochi, tiny, tmp_path):
    (tmp_path / "words").write_text("fade\nbead\n")
    (tmp_path / "phones").write_text("F A D E\nB E A D\n")
    result = kochi("align", tiny, tmp_path / "words", tmp_path / "phones")
    assert result.lines == ["0-0 1-1 2-2 3-3"] * 2
    assert "links are between tokens: one side is one word in 2 of 2 pairs" in result.err


def test_a_page_from_spelling_to_sound_opens_on_letters(kochi, tiny, tmp_path):
    assert kochi("show", tiny, "fade", "--out", tmp_path / "a.html").code == 0
    _, data = page_of(tmp_path / "a.html")
    assert data["unit"] == "tokens"
    assert data["read"]["tokens"] == [*"fade", "<eos>"]
    assert kochi("show", tiny, "fade bead", "--out", tmp_path / "b.html").code == 0
    assert page_of(tmp_path / "b.html")[1]["unit"] == "words"


def test_a_long_word_keeps_all_its_labels(kochi, tiny, tmp_path):
    word = "abcdef" * 38  # 228 letters
    assert kochi("show", tiny, word, "--out", tmp_path / "long.svg").code == 0
    texts = texts_of(tmp_path / "long.svg")
    assert texts[:229] == [*word, "<eos>"]
    assert not any(text.startswith("labels:") for text in texts)


def test_labels_that_have_no_room_are_told(kochi, tiny, tmp_path):
    word, limit = "abcdef" * 100, ("--max-source-length", 1000)
    assert kochi("show", tiny, word, *limit, "--out", tmp_path / "long.svg").code == 0
    texts = texts_of(tmp_path / "long.svg")
    assert "labels: every 2nd of 601 columns, and the last" in texts
    assert "<eos>" in texts


def test_a_terminal_is_not_flooded(kochi, tiny, monkeypatch):
    monkeypatch.setattr("kochi.commands.show.MOST_CELLS", 19)
    result = kochi("show", tiny, "bead")
    assert result.lines == [
        "B E A D",
        "alignment not drawn: 4 rows and 5 columns are too many for the terminal; "
        "--out x.png draws them",
    ]


def test_titles_name_model_and_input(kochi, tiny, heard, seer, tmp_path):
    save(picture_of(("red", "green")), tmp_path / "blocks.png")
    np.save(tmp_path / "sound.npy", frames_of("abc"))
    for model, source in (
        (tiny, "fade"),
        (heard, tmp_path / "sound.npy"),
        (seer, tmp_path / "blocks.png"),
    ):
        name = str(source)[-8:]
        for form in ("html", "svg"):
            out = tmp_path / f"a.{form}"
            result = kochi("show", model, source, "--out", out)
            assert result.code == 0, result.err
            shown = [page_of(out)[0]] if form == "html" else texts_of(out)
            joined = " ".join(shown)  # a title may be wrapped
            assert f"{str(model)[-8:]}: " in joined
            assert f"{name} → {result.lines[0]}" in joined


def test_tiles_of_a_picture_have_one_scale_a_frame_and_a_share(kochi, seer, tmp_path):
    save(picture_of(("red", "blue", "green")), tmp_path / "blocks.png")
    result = kochi("show", seer, tmp_path / "blocks.png", "--out", tmp_path / "x.svg")
    texts = texts_of(tmp_path / "x.svg")
    for line in result.lines[1:4]:
        word, share = line.split()[:2]
        assert f"{word} {share}" in texts
    assert {"share of a cell", "100%"} <= set(texts)
    assert any(text.startswith("Frame: the cell attended to most") for text in texts)
    assert kochi("show", seer, tmp_path / "blocks.png", "--out", tmp_path / "x.pdf").code == 0


@pytest.mark.parametrize("name", ["a.jpg", "a"])
@pytest.mark.parametrize("model", ["tiny", "seer"])
def test_the_message_names_all_forms(kochi, request, tmp_path, model, name):
    source = "fade"
    if model == "seer":
        source = tmp_path / "red.png"
        save(picture_of(("red",)), source)
    result = kochi("show", request.getfixturevalue(model), source, "--out", tmp_path / name)
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert result.err.endswith("expected a name that ends in .png, .svg, .pdf or .html\n")


def test_a_pdf_is_the_same_each_time_and_holds_its_fonts(kochi, tiny, tmp_path):
    for name in ("a.pdf", "b.pdf"):
        result = kochi("show", tiny, "fade", "--out", tmp_path / name)
        assert (result.code, result.err) == (0, "")
    content = (tmp_path / "a.pdf").read_bytes()
    assert content == (tmp_path / "b.pdf").read_bytes()
    assert b"/FontFile2" in content and b"/Type3" not in content


def test_characters_without_a_glyph_are_told(kochi, tiny, tmp_path, monkeypatch):
    font_of = figures._font_of
    monkeypatch.setattr(
        figures, "_font_of", lambda letter: font_of("a" if letter != "注" else "\U0010fffd")
    )
    result = kochi("show", tiny, "fa注de", "--out", tmp_path / "a.png")
    assert result.code == 0
    told = [line for line in result.err.splitlines() if "font" in line]
    assert len(told) == 1
    assert "a.png: no installed font has 注 (drawn as <6CE8>)" in told[0]
    assert "fonts-noto-cjk" in told[0]
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 300
    assert "font" not in kochi("show", tiny, "fa注de", "--out", tmp_path / "a.svg").err
