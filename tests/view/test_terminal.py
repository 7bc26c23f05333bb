import io
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from kochi.view.terminal import (
    _PALETTE_256,
    AlignmentDrawing,
    _indexed,
    _mixed,
    draw_alignment,
    draw_alignments,
)


def _printed(drawing: object, **options) -> str:
    file = io.StringIO()
    Console(file=file, **({"width": 60, "force_terminal": True} | options)).print(drawing)
    return file.getvalue()


def _stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.rstrip("\n").split("\n"))


def test_letters_and_phones_by_hand():
    weights = torch.tensor([[0.8, 0.2, 0.0], [0.04, 0.4, 0.56], [0.0, 0.3, 0.7]])
    drawing = draw_alignment(weights, ["c", "a", "t"], ["K", "AE", "T"], title="cat", legend=True)
    assert str(drawing) == "\n".join(
        [
            "cat",
            "   c a t",
            " K ██░░",
            "AE   ▒▒▓▓",
            " T   ▒▒▓▓",
            "░░ ≥ 0.05  ▒▒ ≥ 0.25  ▓▓ ≥ 0.5  ██ ≥ 0.75",
        ]
    )


def test_ascii_by_hand():
    weights = torch.tensor([[0.8, 0.2, 0.0], [0.04, 0.4, 0.56]])
    drawing = draw_alignment(weights, ["ä", " ", "t"], ["K", "…"], unicode=False, legend=True)
    assert str(drawing) == "\n".join(
        [
            r"       \xe4 _  t",
            "     K #### ..",
            r"\u2026      :: **",
            ".. >= 0.05  :: >= 0.25  ** >= 0.5  ## >= 0.75",
        ]
    )


def test_words_stand_over_columns_of_their_width():
    drawing = draw_alignment(torch.eye(3), ["the", "house", "."], ["das", "Haus", "."])
    assert str(drawing) == "\n".join(
        ["     the house .", " das ███", "Haus     █████", "   .           ██"]
    )


def test_wide_and_combining_characters_keep_the_columns():
    drawing = draw_alignment(torch.eye(4), ["注", "e\u0301", "x", "\u0301"], list("力bcd"))
    lines = str(drawing).split("\n")
    assert lines[0] == "   注 e\u0301 x ◌\u0301"
    assert [cell_len(line) for line in lines[1:]] == [6, 8, 10, 12]
    assert lines[1].startswith("力 ███")


def test_right_to_left_letters_keep_their_order():
    header = str(draw_alignment(torch.eye(2), ["ש", "ל"], ["a", "b"])).split("\n")[0]
    assert header == "  ש\u200e ל\u200e"
    assert cell_len(header) == 5


def test_long_inputs_are_cut_into_sections():
    weights = torch.zeros(2, 9)
    weights[0, 0] = weights[1, 8] = 1.0
    drawing = draw_alignment(weights, list("abcdefghi"), ["X", "YY"], width=13)
    assert str(drawing) == "\n".join(
        [
            "   a b c d e",
            " X ██",
            "YY",
            "",
            "   f g h i",
            " X",
            "YY       ██",
        ]
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(max_size=20), min_size=1, max_size=12),
    st.lists(st.text(max_size=20), min_size=1, max_size=4),
    st.integers(min_value=12, max_value=50),
    st.booleans(),
)
def test_no_line_is_wider_than_asked_and_no_token_is_lost(
    source: list[str], target: list[str], width: int, unicode: bool
):
    weights = torch.full((len(target), len(source)), 1 / len(source))
    drawing = draw_alignment(weights, source, target, width=width, unicode=unicode)
    lines = str(drawing).split("\n")
    assert all(cell_len(line) <= width for line in lines)
    sections = lines.count("") + 1
    assert len(lines) == sections * (len(target) + 1) + sections - 1
    assert unicode or str(drawing).isascii()


@pytest.mark.parametrize(("rows", "columns"), [(0, 2), (2, 0), (0, 0)])
def test_nothing_to_draw_does_not_crash(rows: int, columns: int):
    drawing = draw_alignment(torch.zeros(rows, columns), ["a"] * columns, ["b"] * rows, legend=True)
    assert str(drawing).count("b") == rows
    assert _printed(drawing)


def test_faint_alignments_are_scaled():
    drawing = draw_alignment(torch.tensor([[0.1, 0.06, 0.0]]), list("abc"), ["x"], legend=True)
    assert str(drawing).split("\n")[1:] == [
        "x ██▓▓",
        "░░ ≥ 0.005  ▒▒ ≥ 0.025  ▓▓ ≥ 0.05  ██ ≥ 0.075",
    ]


@pytest.mark.parametrize("system", ["256", "truecolor"])
def test_blocks_stay_in_the_text_under_colours(system: str):
    drawing = draw_alignment(torch.tensor([[0.8, 0.3]]), ["a", "b"], ["c"])
    coloured = _printed(drawing, color_system=system)
    assert "\x1b[" in coloured
    assert "██" in coloured
    assert "▒▒" in coloured


@pytest.mark.parametrize(
    "options",
    [
        {"color_system": "truecolor", "no_color": True},
        {"color_system": "standard"},
        {"force_terminal": False},
    ],
)
def test_without_colours_it_is_plain_text(options: dict):
    drawing = draw_alignment(torch.tensor([[0.8, 0.3]]), ["a", "b"], ["c"], legend=True)
    assert _stripped(_printed(drawing, **options)) == str(drawing)


def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "1")
    drawing = draw_alignment(torch.tensor([[0.8, 0.3]]), ["a", "b"], ["c"])
    assert "\x1b" not in _printed(drawing, color_system="truecolor")


def test_an_ascii_terminal_gets_ascii():
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=file, width=40)
    console.print(draw_alignment(torch.tensor([[0.8, 0.3]]), ["ä", "b"], ["c"]))
    file.flush()
    assert b"c #### ::" in file.buffer.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


def test_stronger_is_lighter_in_both_palettes():
    shares = [step / (len(_PALETTE_256) - 1) for step in range(len(_PALETTE_256))]
    for colour_of in (_indexed, _mixed):
        lights = [_luminance(tuple(colour_of(share).get_truecolor())) for share in shares]
        assert all(later > earlier for earlier, later in itertools.pairwise(lights))


def _luminance(colour: tuple[int, ...]) -> float:
    """Relative luminance of WCAG 2."""
    parts = [part / 255 for part in colour]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_small_drawings_stand_side_by_side():
    drawings = [draw_alignment(torch.eye(2), ["a", "b"], ["c", "d"]) for _ in range(3)]
    lines = _printed(draw_alignments(drawings), force_terminal=False).split("\n")
    assert lines[0].split() == ["a", "b"] * 3
    narrow = _printed(draw_alignments(drawings), force_terminal=False, width=8)
    assert narrow.split("\n")[0].split() == ["a", "b"]


def test_markup_in_tokens_is_text():
    drawing = draw_alignment(torch.eye(1), ["[red]"], ["[/]"], title="[bold]x")
    assert _stripped(_printed(drawing, force_terminal=False)) == "[bold]x\n    [red]\n[/] █████"


def test_the_drawing_is_a_drawing():
    assert isinstance(draw_alignment(torch.eye(1), ["a"], ["b"]), AlignmentDrawing)
