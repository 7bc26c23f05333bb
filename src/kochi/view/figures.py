"""Save matplotlib figures without global state, with text in any script.

`matplotlib.figure.Figure` is used directly: no pyplot, no window, no open figures.
"""

import io
import logging
import math
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from kochi.errors import UserError
from kochi.quiet import Quiet

DOTS_PER_INCH = 150
_MOST_DOTS = 30_000  # along one side; Agg itself stops at 65,536
_MOST_PIXELS = 40_000_000  # of a PNG; 160 MB while it is drawn
_MOST_LETTERS = 100  # of a label
_FORMATS = ("png", "svg", "pdf")
# Debian's packages of scalable fonts; matplotlib cannot draw those of coloured emoji.
_CJK_PACKAGE, _SYMBOLS_PACKAGE = "fonts-noto-cjk", "fonts-symbola"
_OTHERS_PACKAGE = "fonts-noto-core"
_CJK_NAMES = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "FULLWIDTH", "IDEOGRAPHIC")
_FIRST_FONT = "DejaVu Sans"  # comes with matplotlib

_glyphs_are_lacking = Quiet("Glyph .* missing from font")
_drawing = threading.RLock()


def picture_format(path: Path, others: Sequence[str] = ()) -> str:
    """Return "png", "svg" or "pdf" by the ending of a file's name.

    Args:
        path: The output file.
        others: Further endings that the caller supports, to be named in the message.

    Raises:
        UserError: The name has another ending, or the folder does not exist.

    >>> picture_format(Path("a.SVG"))
    'svg'
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in _FORMATS:
        found = f"unknown picture type {path.suffix!r}" if kind else "no picture type"
        *forms, last = (f".{form}" for form in (*_FORMATS, *others))
        raise UserError(
            f"{path}: {found}; expected a name that ends in {', '.join(forms)} or {last}"
        )
    if not path.parent.is_dir():
        raise UserError(f"{path}: no such folder {path.parent}; create it first")
    return kind


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, SVG or PDF, by the ending of the name; the output is reproducible.

    An SVG keeps its text as text, which the viewer draws with its own fonts. A PDF embeds its
    glyphs as Type 42 fonts, so that its text can be searched and edited.

    Raises:
        UserError: The name has another ending, or the file cannot be written.
    """
    kind = picture_format(path)
    width, height = figure.get_size_inches()
    dots = min(
        DOTS_PER_INCH, _MOST_DOTS / max(width, height), math.sqrt(_MOST_PIXELS / (width * height))
    )
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    buffer = io.BytesIO()
    with without_glyph_warnings(), _settings():
        figure.savefig(buffer, format=kind, dpi=dots, metadata=metadata)
    try:
        path.write_bytes(buffer.getvalue())
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _settings() -> AbstractContextManager[None]:
    """Set what matplotlib reads from its settings only, and restore it at once."""
    changed: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "kochi", "pdf.fonttype": 42}
    return matplotlib.rc_context(changed)


def set_fonts(figure: Figure) -> None:
    """Set fonts for every text of a figure that cover its characters, and draw it literally.

    Dollar signs and backslashes are drawn as they are, not as mathematics.
    """
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)
        names = {_font_of(character) for character in text.get_text()}
        others = sorted(name for name in names if name not in (None, _FIRST_FONT))
        text.set_fontfamily([_FIRST_FONT, *others])


def size_of(text: str, points: float, width: float | None = None) -> tuple[float, float]:
    """Measure the width and height of a drawn text, in inches.

    Args:
        text: The text.
        points: The font size.
        width: Width in inches at which lines are wrapped; None for no wrapping.
    """
    figure = Figure(figsize=(width or 1.0, 1.0))
    # At the very top matplotlib would find no room to the right, and wrap after each word.
    drawn = figure.text(0.0, 0.0, text, va="bottom", fontsize=points, wrap=width is not None)
    set_fonts(figure)
    with without_glyph_warnings():
        box = drawn.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    return box.width / figure.dpi, box.height / figure.dpi


def shortened(text: str, points: float, width: float) -> str:
    """Truncate a text, with an ellipsis, that would be wider than ``width`` inches."""
    if size_of(text, points)[0] <= width:
        return text
    for kept in range(min(len(text) - 1, _MOST_LETTERS), 1, -1):
        shorter = text[:kept] + "…"
        if size_of(shorter, points)[0] <= width:
            return shorter
    return text[:1] + "…"


def printable(text: str, kind: str) -> str:
    """Return a text as it can be drawn.

    In a PNG or PDF, a character without an installed font is replaced by its number, such as
    <6CE8>; an SVG keeps all characters for its viewer.
    """
    if kind == "svg":
        return text
    return "".join(character if _font_of(character) else _number(character) for character in text)


def missing_glyphs(texts: Iterable[str], kind: str) -> list[str]:
    """List the characters that `printable` turns into numbers, in order of appearance."""
    if kind == "svg":
        return []
    characters = dict.fromkeys(character for text in texts for character in text)
    return [character for character in characters if not _font_of(character)]


def font_advice(characters: Sequence[str], most: int = 8) -> str:
    """Return one line that names the characters without an installed font, and what to install.

    Args:
        characters: Characters from `missing_glyphs`; not empty.
        most: Maximum number of characters to name.

    >>> font_advice(["注"])  # doctest: +ELLIPSIS
    'no installed font has 注 (drawn as <6CE8>); install one that does (Debian: fonts-noto-cjk)...'
    """
    named = ", ".join(characters[:most])
    numbers = ", ".join(map(_number, characters[:most]))
    if len(characters) > most:
        named += f" and {len(characters) - most} more"
        numbers += ", ..."
    packages = " ".join(sorted({_package(character) for character in characters}))
    return (
        f"no installed font has {named} (drawn as {numbers}); install one that does "
        f"(Debian: {packages}), or write .svg, whose viewer brings its own fonts"
    )


def _number(character: str) -> str:
    return f"<{ord(character):04X}>"


def _package(character: str) -> str:
    if unicodedata.name(character, "").startswith(_CJK_NAMES):
        return _CJK_PACKAGE
    return _SYMBOLS_PACKAGE if unicodedata.category(character).startswith("S") else _OTHERS_PACKAGE


@contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Silence matplotlib's warnings about missing glyphs and fonts without a normal weight.

    An SVG uses the viewer's fonts; for other formats `missing_glyphs` reports missing characters.
    One thread draws at a time, since matplotlib's settings and loggers are global.
    """
    logger = logging.getLogger("matplotlib.font_manager")
    with _drawing, _glyphs_are_lacking():
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


@cache
def _font_of(character: str) -> str | None:
    """Return the first font family with the character; matplotlib's own DejaVu Sans first."""
    if character.isspace():
        return _FIRST_FONT
    found = next((entry.name for entry in _fonts() if _holds(entry.fname, character)), None)
    if found is None:
        found = next((e.name for e in _new_fonts() if _holds(e.fname, character)), None)
    return found


@cache
def _fonts() -> list[font_manager.FontEntry]:
    return _real(font_manager.fontManager.ttflist)


@cache
def _new_fonts() -> list[font_manager.FontEntry]:
    """Add the fonts installed since matplotlib cached its list, which it never refreshes."""
    manager = font_manager.fontManager
    known = {entry.fname for entry in manager.ttflist}
    before = len(manager.ttflist)
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        try:
            manager.addfont(path)
        except (OSError, RuntimeError, ValueError):
            continue  # not one that matplotlib can draw, such as bitmaps
    return _real(manager.ttflist[before:])


def _real(entries: Iterable[font_manager.FontEntry]) -> list[font_manager.FontEntry]:
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
