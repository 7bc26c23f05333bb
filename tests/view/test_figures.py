from pathlib import Path

import pytest
from matplotlib.figure import Figure

from kochi.errors import UserError
from kochi.view import figures
from kochi.view.figures import (
    font_advice,
    missing_glyphs,
    picture_format,
    printable,
    save_figure,
    set_fonts,
)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "a.jpg",
            r"unknown picture type '\.jpg'; expected a name that ends in \.png, \.svg or \.pdf$",
        ),
        ("a", "a: no picture type; expected"),
        ("none/a.png", "no such folder .*none; create it first"),
    ],
)
def test_wrong_paths(tmp_path: Path, name: str, message: str):
    with pytest.raises(UserError, match=message):
        picture_format(tmp_path / name)


def test_the_message_names_what_else_the_caller_writes(tmp_path: Path):
    with pytest.raises(UserError, match=r"ends in \.png, \.svg, \.pdf or \.html$"):
        picture_format(tmp_path / "a.jpg", others=("html",))


def test_a_picture_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(UserError, match=r"a\.png: cannot be written: Is a directory"):
        save_figure(Figure(), tmp_path / "a.png")


def test_a_huge_figure_has_fewer_dots(tmp_path: Path):
    save_figure(Figure(figsize=(1000, 0.1)), tmp_path / "a.png")
    header = (tmp_path / "a.png").read_bytes()[:24]
    assert int.from_bytes(header[16:20], "big") == pytest.approx(30_000, abs=1)


def test_a_large_figure_has_a_bounded_number_of_pixels(tmp_path: Path):
    save_figure(Figure(figsize=(60, 60)), tmp_path / "a.png")
    header = (tmp_path / "a.png").read_bytes()[:24]
    width, height = (
        int.from_bytes(header[position : position + 4], "big") for position in (16, 20)
    )
    assert 39_000_000 < width * height <= 40_000_000


def test_a_pdf_is_the_same_each_time_and_embeds_its_fonts(tmp_path: Path, monkeypatch):
    """Type 42 (TrueType), never Type 3; and no date, whatever the clock says."""
    for name, second in (("a.pdf", "1"), ("b.pdf", "2000000000")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", second)
        figure = Figure(figsize=(2, 1))
        figure.text(0.1, 0.5, "é ▁ → 注")
        set_fonts(figure)
        save_figure(figure, tmp_path / name)
    content = (tmp_path / "a.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert content == (tmp_path / "b.pdf").read_bytes()
    assert b"/FontFile2" in content and b"/Type3" not in content
    assert b"CreationDate" not in content


def test_characters_without_a_glyph_are_told_with_what_helps(monkeypatch: pytest.MonkeyPatch):
    lacking = "注カ👩ऄ"
    monkeypatch.setattr(
        figures, "_font_of", lambda letter: None if letter in lacking else "DejaVu Sans"
    )
    missing = missing_glyphs(["a注", "注カ", "👩"], "pdf")
    assert missing == ["注", "カ", "👩"]
    assert missing_glyphs(["注"], "svg") == []
    assert font_advice(missing) == (
        "no installed font has 注, カ, 👩 (drawn as <6CE8>, <30AB>, <1F469>); "
        "install one that does (Debian: fonts-noto-cjk fonts-symbola), "
        "or write .svg, whose viewer brings its own fonts"
    )
    assert "fonts-noto-core" in font_advice(["ऄ"])
    assert font_advice(["注"] * 9, 3).startswith("no installed font has 注, 注, 注 and 6 more (")


def test_a_font_installed_since_matplotlib_looked_is_found(monkeypatch: pytest.MonkeyPatch):
    """Its list of fonts is kept on disk and never looked over again by itself."""
    entries = figures.font_manager.fontManager.ttflist
    known = [entry for entry in entries if entry.name != "DejaVu Sans Mono"]
    mono = [entry.fname for entry in entries if entry.name == "DejaVu Sans Mono"]
    monkeypatch.setattr(figures.font_manager.fontManager, "ttflist", known)
    monkeypatch.setattr(
        figures.font_manager, "findSystemFonts", lambda: [*mono, "/none/broken.ttf"]
    )
    monkeypatch.setattr(figures, "_holds", lambda path, _: path in mono)
    figures._new_fonts.cache_clear()
    try:
        assert figures._font_of.__wrapped__("\ue123") == "DejaVu Sans Mono"
    finally:
        figures._new_fonts.cache_clear()


def test_unknown_letters_become_numbers_in_a_png_and_a_pdf(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        figures, "_font_of", lambda letter: None if letter == "注" else "DejaVu Sans"
    )
    assert printable("a注", "png") == "a<6CE8>"
    assert printable("a注", "pdf") == "a<6CE8>"
    assert printable("a注", "svg") == "a注"


def test_a_letter_takes_a_font_that_has_it(monkeypatch: pytest.MonkeyPatch):
    families = {"a": "DejaVu Sans", "注": "Some CJK", "☃": None}
    monkeypatch.setattr(figures, "_font_of", families.get)
    figure = Figure()
    text = figure.text(0, 0, "a注☃$x$")
    set_fonts(figure)
    assert text.get_fontfamily() == ["DejaVu Sans", "Some CJK"]
    assert not text.get_parse_math()


def test_letters_are_looked_up_in_real_fonts():
    assert figures._font_of("é") == "DejaVu Sans"
    assert figures._font_of("\U0010fffd") is None  # private use: only "Last Resort" has a box


def test_saving_changes_no_setting(tmp_path: Path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    save_figure(Figure(), tmp_path / "a.svg")
    assert dict(matplotlib.rcParams) == before
