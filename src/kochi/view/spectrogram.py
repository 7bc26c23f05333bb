"""What was heard, as a picture: the spectrogram, where the model looked, the words below."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kochi.memory import Frames
from kochi.times import Timed
from kochi.view.figures import printable, set_fonts
from kochi.view.labelled import LabelledAlignment, scale_top, visible, visible_title

# All lengths are inches.
_SECOND, _NARROWEST, _WIDEST = 2.4, 5.0, 40.0
_ROW, _LOWEST, _HIGHEST = 0.14, 2.6, 12.0
_LEFT, _RIGHT, _ABOVE, _BELOW = 0.9, 0.3, 0.45, 1.0
_MOST_LABELS = 80
_FRAMES_COLOURS = "gray_r"
_LOOK = (0.85, 0.15, 0.1)
_WORD_COLOURS = ("#1f5fa8", "#b2521a")


def draw_spectrogram(
    frames: Float32[np.ndarray, "frames size"],
    frames_layout: Frames,
    alignment: LabelledAlignment,
    layout: Frames,
    words: Sequence[Timed],
    kind: str = "png",
) -> Figure:
    """Draw frames over time, the alignment over them in red, and each word under its sound.

    A row of the alignment is a token, the first one at the top; the more a place was looked at, the
    less of the spectrogram shines through.

    Args:
        frames: What was heard, darker is larger: log-mel bins, lowest first, or other numbers.
        frames_layout: When the frames happened.
        alignment: Where the model looked; its title is drawn above.
        layout: When the places that it looked at happened.
        words: The words and their times.
        kind: "png" or "svg", which can show any letter.
    """
    seconds = frames_layout.centre_seconds(len(frames))
    width = min(_WIDEST, max(_NARROWEST, seconds * _SECOND))
    height = min(_HIGHEST, max(_LOWEST, len(alignment.target_tokens) * _ROW))
    size = (width + _LEFT + _RIGHT, height + _ABOVE + _BELOW)
    figure = Figure(figsize=size)
    axes = figure.add_axes((_LEFT / size[0], _BELOW / size[1], width / size[0], height / size[1]))
    _draw_frames(axes, frames, frames_layout)
    _draw_looks(axes, alignment, layout)
    axes.set(xlim=(0.0, seconds), ylim=(0.0, 1.0))
    _label_rows(axes, [printable(visible(token), kind) for token in alignment.target_tokens])
    _draw_words(axes, words, kind)
    axes.set_xlabel("seconds", labelpad=26)
    axes.set_title(printable(visible_title(alignment.title or ""), kind), fontsize=10, loc="left")
    set_fonts(figure)
    return figure


def _draw_frames(axes: Axes, frames: Float32[np.ndarray, "frames size"], layout: Frames) -> None:
    # The quietest twentieth is all white, so that noise between words does not hide the looks.
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


def _draw_looks(axes: Axes, alignment: LabelledAlignment, layout: Frames) -> None:
    weights = alignment.weights
    if not weights.size:
        return
    colours = np.empty((*weights.shape, 4))
    colours[..., :3] = _LOOK
    # The root lets small weights be seen at all.
    colours[..., 3] = 0.9 * np.sqrt(np.clip(weights / scale_top(weights), 0.0, 1.0))
    axes.imshow(
        colours,
        aspect="auto",
        origin="upper",
        interpolation="nearest",
        extent=(*_reach(layout, weights.shape[1]), 0.0, 1.0),
    )


def _reach(layout: Frames, count: int) -> tuple[float, float]:
    """Return where the first of so many places begins and the last one ends, in seconds.

    >>> _reach(Frames(hop_seconds=0.5, first_seconds=0.25), 4)
    (0.0, 2.0)
    """
    half = layout.hop_seconds / 2
    return layout.first_seconds - half, layout.centre_seconds(count) - half


def _label_rows(axes: Axes, tokens: Sequence[str]) -> None:
    every = -(-max(1, len(tokens)) // _MOST_LABELS)
    places = [1.0 - (row + 0.5) / len(tokens) for row in range(len(tokens))]
    axes.set_yticks(places[::every], list(tokens)[::every])
    axes.tick_params(axis="y", length=0, labelsize=8)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_words(axes: Axes, words: Sequence[Timed], kind: str) -> None:
    """Write each word below the axis, between marks of where it begins and ends."""
    below = axes.get_xaxis_transform()
    for number, word in enumerate(words):
        colour = _WORD_COLOURS[number % len(_WORD_COLOURS)]
        span = (word.start_seconds, word.end_seconds)
        axes.plot(span, (-0.01, -0.01), transform=below, color=colour, linewidth=3, clip_on=False)
        for edge in span:
            axes.axvline(edge, color=colour, linewidth=0.6, alpha=0.6)
        axes.annotate(
            printable(visible(word.text), kind),
            (sum(span) / 2, 0.0),
            xycoords=below,
            xytext=(0, -24),
            textcoords="offset points",
            ha="center",
            color=colour,
            fontsize=9,
            annotation_clip=False,
        )
