from pathlib import Path

import pytest
from matplotlib.figure import Figure

from kochi.errors import UserError
from kochi.view import figures
from kochi.view.figures import picture_format, printable, save_figure, set_fonts


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.jpg", r"a\.jpg: unknown picture type '\.jpg'; expected a name that ends in \.png or"),
        ("a", "a: no picture type; expected"),
        ("none/a.png", "no such folder .*none; make it first"),
    ],
)
def test_wrong_paths(tmp_path: Path, name: str, message: str):
    with pytest.raises(UserError, match=message):
        picture_format(tmp_path / name)


def test_a_picture_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(UserError, match=r"a\.png: cannot be written: Is a directory"):
        save_figure(Figure(), tmp_path / "a.png")


def test_a_huge_figure_has_fewer_dots(tmp_path: Path):
    save_figure(Figure(figsize=(1000, 0.1)), tmp_path / "a.png")
    header = (tmp_path / "a.png").read_bytes()[:24]
    assert int.from_bytes(header[16:20], "big") == pytest.approx(30_000, abs=1)


def test_unknown_letters_become_numbers_in_a_png_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        figures, "_font_of", lambda letter: None if letter == "注" else "DejaVu Sans"
    )
    assert printable("a注", "png") == "a<6CE8>"
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
