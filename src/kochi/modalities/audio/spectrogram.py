"""A chart of a recording: spectrogram, words below their audio, and the alignment."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kochi.memory import Frames
from kochi.timestamps import Timed
from kochi.view.figures import printable, set_fonts, size_of
from kochi.view.labelled import (
    LabelledAlignment,
    labelled_positions,
    scale_top,
    thinned_note,
    visible_title,
)
from kochi.visible import visible

# All lengths are inches.
_SECOND, _NARROWEST, _WIDEST = 2.4, 5.0, 40.0
_SOUND, _LEVEL, _BAR, _GAP = 1.5, 0.19, 0.07, 0.05
_ROW, _LOWEST, _HIGHEST = 0.14, 0.8, 40.0
_LEFT, _RIGHT, _EDGE, _BELOW = 0.9, 0.3, 0.12, 0.5
_TITLE_POINTS = 10.0
_LETTER, _MARGIN = 0.085, 0.08  # width of a letter of a word, and the gap between two words
_MOST_LEVELS = 4
_FRAMES_COLOURS = "gray_r"
# Okabe and Ito's blue and vermilion, which are distinguishable with colour blindness.
_LOOK = (0.0, 0.447, 0.698)
_WORD_COLOURS = ("#0072b2", "#d55e00")
_BAND = 0.10


def draw_spectrogram(
    frames: Float32[np.ndarray, "frames size"],
    frames_layout: Frames,
    alignment: LabelledAlignment,
    layout: Frames,
    words: Sequence[Timed],
    kind: str = "png",
) -> Figure:
    """Draw frames, the words below their audio and the alignment, one below the other in time.

    A row of the alignment is a token, the first at the top; darker means more weight. A band in the
    colour of a word runs through the alignment over the time of the word.

    Args:
        frames: The frames, darker is larger: log-mel bins, lowest first, or other numbers.
        frames_layout: The times of the frames.
        alignment: The alignment; its title is drawn above.
        layout: The times of the alignment's positions.
        words: The words and their times.
        kind: "png" or "pdf", which can render the characters of the installed fonts, or "svg",
            which can render any.
    """
    seconds = frames_layout.centre_seconds(len(frames))
    width = min(_WIDEST, max(_NARROWEST, seconds * _SECOND))
    names = [printable(visible(word.text), kind) for word in words]
    levels = _levels(words, names, width / seconds)
    strip = _BAR + _LEVEL * (1 + max(levels, default=-1))
    looks = min(_HIGHEST, max(_LOWEST, len(alignment.target_tokens) * _ROW))
    every = max(1, math.ceil(len(alignment.target_tokens) * _ROW / looks - 1e-9))
    note = thinned_note(len(alignment.target_tokens), every, "tokens") if every > 1 else ""
    lines = printable(visible_title(alignment.title or ""), kind), note
    title = "\n".join(line for line in lines if line)
    across = width + _LEFT + _RIGHT
    head = size_of(title, _TITLE_POINTS, width)[1] + 2 * _EDGE
    size = (across, looks + strip + _SOUND + 2 * _GAP + head + _BELOW)
    figure = Figure(figsize=size)

    def panel(bottom: float, height: float) -> Axes:
        position = (_LEFT / size[0], bottom / size[1], width / size[0], height / size[1])
        axes = figure.add_axes(position)
        axes.set_xlim(0.0, seconds)
        return axes

    below = panel(_BELOW, looks)
    middle = panel(_BELOW + looks + _GAP, strip)
    above = panel(_BELOW + looks + strip + 2 * _GAP, _SOUND)
    _draw_frames(above, frames, frames_layout)
    _draw_words(middle, words, names, levels, strip)
    _draw_looks(below, alignment, layout)
    _label_rows(below, [printable(visible(t), kind) for t in alignment.target_tokens], every)
    for number, word in enumerate(words):
        colour = _WORD_COLOURS[number % len(_WORD_COLOURS)]
        below.axvspan(word.start_seconds, word.end_seconds, color=colour, alpha=_BAND, linewidth=0)
        for edge in (word.start_seconds, word.end_seconds):
            above.axvline(edge, color=colour, linewidth=0.8, alpha=0.8)
    below.set_xlabel("seconds")
    top = f"darkest: {scale_top(alignment.weights):.0%} of a token's attention"
    figure.text(1.0 - _RIGHT / across, 0.08 / size[1], top, ha="right", fontsize=8, color="0.35")
    corner = _LEFT / across, 1.0 - _EDGE / size[1]
    figure.text(*corner, title, va="top", fontsize=_TITLE_POINTS, wrap=True)
    set_fonts(figure)
    return figure


def _draw_frames(axes: Axes, frames: Float32[np.ndarray, "frames size"], layout: Frames) -> None:
    # The quietest twentieth is white, so that noise between words does not hide the speech.
    low, high = np.percentile(frames, [5.0, 99.5]) if frames.size else (0.0, 1.0)
    axes.imshow(
        frames.T,
        cmap=_FRAMES_COLOURS,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(*_reach(layout, len(frames)), 0.0, 1.0),
        vmin=float(low),
        vmax=float(max(high, low + 1e-6)),
    )
    axes.set(xlim=axes.get_xlim(), ylim=(0.0, 1.0), xticks=[], yticks=[])


def _draw_looks(axes: Axes, alignment: LabelledAlignment, layout: Frames) -> None:
    axes.set_ylim(0.0, 1.0)
    weights = alignment.weights
    if not weights.size:
        return
    colours = np.empty((*weights.shape, 4))
    colours[..., :3] = _LOOK
    # The square root makes small weights visible.
    colours[..., 3] = np.sqrt(np.clip(weights / scale_top(weights), 0.0, 1.0))
    xlim = axes.get_xlim()
    axes.imshow(
        colours,
        aspect="auto",
        origin="upper",
        interpolation="nearest",
        extent=(*_reach(layout, weights.shape[1]), 0.0, 1.0),
        zorder=2.0,  # above the bands of the words
    )
    axes.set_xlim(xlim)


def _reach(layout: Frames, count: int) -> tuple[float, float]:
    """Return the start of the first and the end of the last of ``count`` positions, in seconds.

    >>> _reach(Frames(hop_seconds=0.5, first_seconds=0.25), 4)
    (0.0, 2.0)
    """
    half = layout.hop_seconds / 2
    return layout.first_seconds - half, layout.centre_seconds(count) - half


def _label_rows(axes: Axes, tokens: Sequence[str], every: int) -> None:
    count = len(tokens)
    rows = labelled_positions(count, every)
    axes.set_yticks([1.0 - (row + 0.5) / count for row in rows], [tokens[row] for row in rows])
    axes.tick_params(axis="y", length=0, labelsize=8)
    for spine in axes.spines.values():
        spine.set_color("0.8")


def _levels(words: Sequence[Timed], names: Sequence[str], inches_a_second: float) -> list[int]:
    """Assign each word's name to a line, so that names do not overlap.

    The first line with enough room, or the line that is free first if none has enough.

    >>> close = [Timed("seventy", 0.0, 0.1), Timed("seven", 0.1, 0.2), Timed("go", 2.0, 2.1)]
    >>> _levels(close, ["seventy", "seven", "go"], 2.0)
    [0, 1, 0]
    """
    free = [-np.inf] * _MOST_LEVELS  # end of the last name of each line, in inches
    levels = []
    for word, name in zip(words, names, strict=True):
        centre = (word.start_seconds + word.end_seconds) / 2 * inches_a_second
        half = len(name) * _LETTER / 2
        fitting = (line for line in range(_MOST_LEVELS) if free[line] <= centre - half)
        level = next(fitting, int(np.argmin(free)))
        free[level] = centre + half + _MARGIN
        levels.append(level)
    return levels


def _draw_words(
    axes: Axes,
    words: Sequence[Timed],
    names: Sequence[str],
    levels: Sequence[int],
    height: float,
) -> None:
    """Draw a bar over the time of each word, and its name below."""
    axes.set_ylim(-height, 0.0)
    axes.axis("off")
    for number, (word, name, level) in enumerate(zip(words, names, levels, strict=True)):
        colour = _WORD_COLOURS[number % len(_WORD_COLOURS)]
        length = word.end_seconds - word.start_seconds
        axes.broken_barh([(word.start_seconds, length)], (-_BAR, _BAR), facecolors=colour)
        centre = word.start_seconds + length / 2
        top = -_BAR - level * _LEVEL
        if level:
            axes.plot((centre, centre), (-_BAR, top), color=colour, linewidth=0.6)
        axes.text(centre, top - 0.02, name, ha="center", va="top", color=colour, fontsize=9)
