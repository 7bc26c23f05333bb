"""Alignments drawn with block characters in the terminal."""

import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.color import Color
from rich.columns import Columns
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.style import Style
from rich.text import Text

from kochi.view.labelled import (
    LabelledAlignment,
    Weights,
    label_alignment,
    scale_top,
    visible_title,
)
from kochi.visible import visible

_BLOCKS = " ░▒▓█"
_ASCII = " .:*#"
_THRESHOLDS = (0.05, 0.25, 0.5, 0.75)  # of the scale's top; below the first a cell stays empty
_LONGEST_LABEL = 14
_LEFT_TO_RIGHT = "\u200e"  # after Hebrew or Arabic, so that a terminal keeps the columns' order
# Dark violet to light yellow, each step lighter than the last, also for colour-blind eyes.
_TRUECOLOR = ((46, 12, 74), (52, 74, 134), (32, 134, 138), (90, 194, 104), (250, 230, 60))
_PALETTE_256 = (17, 18, 24, 30, 36, 78, 149, 227)  # the nearest that xterm's 256 colours have
_GRADIENT = 16  # cells of the legend

Palette = Literal["none", "256", "truecolor"]


@dataclass(frozen=True)
class _Layout:
    """Labels padded to their columns and rows, and the runs of columns that fit side by side."""

    rows: list[str]
    columns: list[str]
    margin: int
    gap: str
    sections: list[range]


class AlignmentDrawing:
    """An alignment as block characters: target tokens down, source tokens across.

    Print it with rich, or use `str` for plain text. Stronger weights are denser and, in a terminal
    with at least 256 colours, lighter. The blocks remain in the text under the colours, so that it
    is readable without them (with NO_COLOR, in a file, or copied from the screen).

    Args:
        labelled: The alignment to draw.
        width: Number of terminal columns to use; None asks the terminal. Longer sources are split
            into sections, one below the other.
        unicode: Whether to use blocks and letters beyond ASCII; None asks the terminal.
        legend: Whether to add a line that explains the blocks.
    """

    def __init__(
        self,
        labelled: LabelledAlignment,
        width: int | None = None,
        unicode: bool | None = None,
        legend: bool = False,
    ):
        self.labelled = labelled
        self.width = width
        self.unicode = unicode
        self.legend = legend

    def __str__(self) -> str:
        width = self.width or shutil.get_terminal_size().columns
        lines = self._text(width, self.unicode is not False, "none").plain.split("\n")
        return "\n".join(line.rstrip() for line in lines)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        unicode = not options.ascii_only if self.unicode is None else self.unicode
        width = min(self.width or options.max_width, options.max_width)
        yield self._text(width, unicode, _palette(console))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        unicode = not options.ascii_only if self.unicode is None else self.unicode
        limit = min(self.width or options.max_width, options.max_width)
        lines = self._text(limit, unicode, "none").plain.split("\n")
        width = max(cell_len(line) for line in lines)
        return Measurement(width, width)

    def _text(self, width: int, unicode: bool, palette: Palette) -> Text:
        text = Text("\n", no_wrap=True, overflow="ignore")
        return text.join(self._lines(width, unicode, palette))

    def _lines(self, width: int, unicode: bool, palette: Palette) -> Iterator[Text]:
        title = self.labelled.title
        if title:
            yield Text(_cut(_ascii(visible_title(title), unicode), width, unicode), style="bold")
        yield from self._block_lines(_layout(self.labelled, width, unicode), unicode, palette)
        if self.legend:
            yield _legend(scale_top(self.labelled.weights), _shades(unicode), palette)

    def _block_lines(self, layout: _Layout, unicode: bool, palette: Palette) -> Iterator[Text]:
        shares = self.labelled.weights / scale_top(self.labelled.weights)
        shades, gap = _shades(unicode), layout.gap
        for number, section in enumerate(layout.sections):
            if number:
                yield Text()
            header = gap.join(layout.columns[position] for position in section)
            yield Text(" " * layout.margin + header)
            for row, label in enumerate(layout.rows):
                line = Text(label)
                for position in section:
                    share = float(shares[row, position])
                    cell = _shade(share, shades) * cell_len(layout.columns[position])
                    line.append(cell, _style(share, palette)).append(gap)
                yield line


def draw_alignment(
    alignment: Weights,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    *,
    title: str | None = None,
    width: int | None = None,
    unicode: bool | None = None,
    legend: bool = False,
) -> AlignmentDrawing:
    """Draw an alignment for the terminal.

    Args:
        alignment: Weights, one row per target token.
        source_tokens: Source tokens (columns).
        target_tokens: Target tokens (rows).
        title: A line above the drawing.
        width: Number of terminal columns to use; None asks the terminal.
        unicode: Whether to use blocks and letters beyond ASCII; None asks the terminal.
        legend: Whether to add a line that explains the blocks.

    Returns:
        A rich renderable; `str` of it is plain text.

    Raises:
        ValueError: The tokens do not fit the alignment, or a weight is not a finite number.

    >>> import torch
    >>> weights = torch.tensor([[0.9, 0.1], [0.0, 1.0]])
    >>> print(draw_alignment(weights, ["h", "i"], ["HH", "AY"]))
       h i
    HH ██░░
    AY   ██
    """
    labelled = label_alignment(alignment, source_tokens, target_tokens, title)
    return AlignmentDrawing(labelled, width, unicode, legend)


def draw_alignments(drawings: Iterable[AlignmentDrawing]) -> Columns:
    """Put small drawings side by side, as many a row as the terminal holds."""
    return Columns(drawings, padding=(1, 4))


def _layout(labelled: LabelledAlignment, width: int, unicode: bool) -> _Layout:
    rows = _labels(labelled.target_tokens, unicode, max(1, width // 3))
    margin = max((cell_len(row) for row in rows), default=0) + 1
    rows = [" " * (margin - 1 - cell_len(row)) + row + " " for row in rows]
    columns = _labels(labelled.source_tokens, unicode, max(1, width - margin - 1))
    gap = " " if any(cell_len(column) > 2 for column in columns) else ""
    columns = [_padded(column, gap) for column in columns]
    return _Layout(rows, columns, margin, gap, list(_sections(columns, gap, width - margin)))


def _labels(tokens: Sequence[str], unicode: bool, longest: int) -> list[str]:
    longest = min(longest, _LONGEST_LABEL)
    labels = [_cut(_ascii(visible(token), unicode), longest, unicode) for token in tokens]
    return [label + _LEFT_TO_RIGHT if _is_right_to_left(label) else label for label in labels]


def _ascii(shown: str, unicode: bool) -> str:
    if unicode:
        return shown
    return shown.replace("␣", "_").encode("ascii", "backslashreplace").decode("ascii")


def _is_right_to_left(label: str) -> bool:
    return any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in label)


def _cut(label: str, longest: int, unicode: bool) -> str:
    if cell_len(label) <= longest:
        return label
    return set_cell_size(label, longest - 1).rstrip() + ("…" if unicode else "~")


def _padded(label: str, gap: str) -> str:
    """Make a column at least two cells wide, about a square; short labels must not touch."""
    return label + " " * max(2 - cell_len(label), 0 if gap else 1)


def _sections(columns: list[str], gap: str, width: int) -> Iterator[range]:
    """Cut the columns into runs that fit; a column wider than that has a run of its own."""
    start, used = 0, 0
    for position, column in enumerate(columns):
        size = cell_len(column + gap)
        if used + size > width and position > start:
            yield range(start, position)
            start, used = position, 0
        used += size
    yield range(start, len(columns))


def _shades(unicode: bool) -> str:
    return _BLOCKS if unicode else _ASCII


def _shade(share: float, shades: str) -> str:
    return shades[sum(share >= threshold for threshold in _THRESHOLDS)]


def _palette(console: Console) -> Palette:
    if console.no_color:
        return "none"
    palettes: dict[str | None, Palette] = {"256": "256", "truecolor": "truecolor"}
    return palettes.get(console.color_system, "none")


def _style(share: float, palette: Palette) -> Style:
    """Give block and ground one colour: a solid cell whose block is still there as text."""
    if palette == "none":
        return Style()
    share = min(max(share, 0.0), 1.0)
    colour = _indexed(share) if palette == "256" else _mixed(share)
    return Style(color=colour, bgcolor=colour)


def _indexed(share: float) -> Color:
    return Color.from_ansi(_PALETTE_256[round(share * (len(_PALETTE_256) - 1))])


def _mixed(share: float) -> Color:
    position = share * (len(_TRUECOLOR) - 1)
    low = min(int(position), len(_TRUECOLOR) - 2)
    ends = zip(_TRUECOLOR[low], _TRUECOLOR[low + 1], strict=True)
    return Color.from_rgb(*(round(a + (b - a) * (position - low)) for a, b in ends))


def _legend(top: float, shades: str, palette: Palette) -> Text:
    if palette == "none":
        sign = "≥" if shades == _BLOCKS else ">="
        steps = zip(shades[1:], _THRESHOLDS, strict=True)
        return Text("  ".join(f"{shade * 2} {sign} {bound * top:g}" for shade, bound in steps))
    line = Text("0 ")
    for step in range(_GRADIENT):
        share = step / (_GRADIENT - 1)
        line.append(_shade(share, shades), _style(share, palette))
    return line.append(f" {top:g}")
