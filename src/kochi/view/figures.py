"""Saving matplotlib figures without its global state, with letters of any script.

`matplotlib.figure.Figure` is used directly: no pyplot, no window, no figure kept behind.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from kochi.errors import UserError

DOTS_PER_INCH = 150
_MOST_DOTS = 30_000  # along one side; Agg itself stops at 65,536
_MOST_LETTERS = 100  # of a label
_FORMATS = ("png", "svg")
_FIRST_FONT = "DejaVu Sans"  # comes with matplotlib


def picture_format(path: Path) -> str:
    """Give "png" or "svg" as the file's name says.

    Raises:
        UserError: The name ends otherwise, or the folder does not exist.

    >>> picture_format(Path("a.SVG"))
    'svg'
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in _FORMATS:
        found = f"unknown picture type {path.suffix!r}" if kind else "no picture type"
        raise UserError(f"{path}: {found}; expected a name that ends in .png or .svg")
    if not path.parent.is_dir():
        raise UserError(f"{path}: no such folder {path.parent}; make it first")
    return kind


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG, as the name says.

    An SVG keeps its text as text (any viewer finds the letters in its own fonts) and is the same
    file each time.

    Raises:
        UserError: The name ends otherwise, or the file cannot be written.
    """
    kind = picture_format(path)
    dots = min(DOTS_PER_INCH, _MOST_DOTS / max(figure.get_size_inches()))
    metadata = {"Date": None} if kind == "svg" else None
    buffer = io.BytesIO()
    with _svg_settings(), without_glyph_warnings():
        figure.savefig(buffer, format=kind, dpi=dots, metadata=metadata)
    try:
        path.write_bytes(buffer.getvalue())
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _svg_settings() -> AbstractContextManager[None]:
    """Matplotlib takes these two from its settings only; they are put back at once."""
    return matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "kochi"})


def set_fonts(figure: Figure) -> None:
    """Give every text of a figure fonts that hold its characters, and print it as it stands.

    Dollar signs and backslashes are letters here, not mathematics.
    """
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)
        names = {_font_of(character) for character in text.get_text()}
        others = sorted(name for name in names if name not in (None, _FIRST_FONT))
        text.set_fontfamily([_FIRST_FONT, *others])


def size_of(text: str, points: float, width: float | None = None) -> tuple[float, float]:
    """Measure how wide and high a text will be drawn, in inches.

    Args:
        text: What is to be drawn.
        points: The size of its letters.
        width: Inches after which its lines are wrapped; None for never.
    """
    figure = Figure(figsize=(width or 1.0, 1.0))
    # At the very top matplotlib would find no room to the right, and wrap after each word.
    drawn = figure.text(0.0, 0.0, text, va="bottom", fontsize=points, wrap=width is not None)
    set_fonts(figure)
    with without_glyph_warnings():
        box = drawn.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    return box.width / figure.dpi, box.height / figure.dpi


def shortened(text: str, points: float, width: float) -> str:
    """Cut a text off, with an ellipsis, where it would be wider than so many inches."""
    if size_of(text, points)[0] <= width:
        return text
    for kept in range(min(len(text) - 1, _MOST_LETTERS), 1, -1):
        shorter = text[:kept] + "…"
        if size_of(shorter, points)[0] <= width:
            return shorter
    return text[:1] + "…"


def printable(text: str, kind: str) -> str:
    """Give the text as it can be drawn.

    In a PNG a character that no installed font holds becomes its number, such as <6CE8>; an SVG
    leaves all letters to its viewer.
    """
    if kind == "svg":
        return text
    return "".join(
        character if _font_of(character) else f"<{ord(character):04X}>" for character in text
    )


@contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Hush matplotlib about letters of an SVG that its own fonts lack: the viewer's count."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


@cache
def _font_of(character: str) -> str | None:
    """Give the first font family that holds the character; matplotlib's own DejaVu Sans first."""
    if character.isspace():
        return _FIRST_FONT
    found = (entry.name for entry in _fonts() if _holds(entry.fname, character))
    return next(found, None)


@cache
def _fonts() -> list[font_manager.FontEntry]:
    entries = font_manager.fontManager.ttflist
    # "Last Resort" has a box for every character, that is: letters for none.
    real = [entry for entry in entries if "last resort" not in entry.name.lower()]
    return sorted(real, key=_plainness)


def _plainness(entry: font_manager.FontEntry) -> tuple[bool, bool, bool]:
    return entry.name != _FIRST_FONT, entry.style != "normal", entry.weight not in (400, "normal")


def _holds(path: str, character: str) -> bool:
    font = _open(path)
    return font is not None and font.get_char_index(ord(character)) != 0


@cache
def _open(path: str) -> FT2Font | None:
    try:
        font = font_manager.get_font(path)
    except (OSError, RuntimeError):
        return None
    return font if font.scalable else None  # colour emoji fonts hold pictures of one size
