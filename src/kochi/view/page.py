"""An interactive HTML page for a prediction: choose a word and see what the model attended to.

The page is a single file with inline script and style. Its content security policy forbids loading
anything and running any other script.
"""

import base64
import json
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from kochi.errors import UserError
from kochi.view.labelled import visible_title
from kochi.view.policy import content_policy
from kochi.visible import visible

MOST_CELLS = 5000  # of the table that shows all words at once
END = "⟨end⟩"  # where the weights are shown that lie on no word
WORD_MARK = "▁"  # begins a BPE piece that begins a word


@dataclass(frozen=True)
class TextSide:
    """A text as tokens and as words.

    Attributes:
        tokens: The tokens as the model reads or writes them.
        words: The words, split at spaces.
        word_of: The word index of each token; None for no word.
        start_seconds: Start time of each token, if the source is audio.
    """

    tokens: tuple[str, ...]
    words: tuple[str, ...]
    word_of: tuple[int | None, ...]
    start_seconds: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain, escaped values."""
        first: dict[int, float] = {}
        for token, word, start in zip(self.tokens, self.word_of, self.start_seconds, strict=False):
            if word is not None and token != WORD_MARK:  # a space is not heard
                first.setdefault(word, round(start, 3))
        return {
            "dir": direction("".join(self.words or self.tokens)),
            "tokens": [visible(token) for token in self.tokens],
            "words": [visible(word) for word in self.words],
            "wordOf": self.word_of,
            "starts": [round(start, 3) for start in self.start_seconds],
            "wordStarts": [first.get(word, 0.0) for word in range(len(self.words))],
        }


@dataclass(frozen=True)
class TimeSide:
    """An audio source.

    Attributes:
        frames: The spectrogram to draw, one row per frame, lowest frequency first.
        seconds: Its duration.
        hop_seconds: Time from one position of the alignment to the next.
        first_seconds: Time of the middle of the first position.
        wav: The audio as a wav file, if there is one.
    """

    frames: Float[np.ndarray, "frames size"]
    seconds: float
    hop_seconds: float
    first_seconds: float
    wav: bytes | None = None


@dataclass(frozen=True)
class PictureSide:
    """An image source, divided into cells row by row.

    Attributes:
        image: The content of the image file (PNG, JPEG, GIF or WebP).
        width: Width of the image, in pixels.
        height: Height of the image, in pixels.
        cell_width: Width of a cell, in pixels. The last column may extend beyond the image.
        cell_height: Height of a cell, in pixels.
    """

    image: bytes
    width: int
    height: int
    cell_width: float
    cell_height: float

    @property
    def grid(self) -> tuple[int, int]:
        """Number of rows and columns of cells."""
        return math.ceil(self.height / self.cell_height), math.ceil(self.width / self.cell_width)


Side = TextSide | TimeSide | PictureSide


def write_page(
    path: Path,
    read: Side,
    written: TextSide,
    heads: Float[np.ndarray, "layers heads target source"],
    title: str,
) -> None:
    """Write a page that shows what every layer and head attended to.

    Args:
        path: The output file; .html.
        read: The source, with a position for each column of the alignments.
        written: The prediction, with a token for each row.
        heads: The alignments.
        title: The title, with model, source and prediction.

    Raises:
        UserError: The file cannot be written.
        ValueError: The sides do not match the alignments, or a weight is not a finite number.
    """
    _check(heads, read, written)
    record = {
        "read": _read(read),
        "written": written.to_json(),
        "unit": _unit(read, written),
        "shares": np.rint(1000.0 * heads).astype(int).tolist(),
    }
    try:
        path.write_text(_html(record, read, title, _table_part(heads, read)), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def direction(text: str) -> str:
    """Return "rtl" if the first letter with a direction is written from right to left, else "ltr".

    >>> direction("1 שלום"), direction("a ש"), direction("…")
    ('rtl', 'ltr', 'ltr')
    """
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("L", "R", "AL"):
            return "ltr" if kind == "L" else "rtl"
    return "ltr"


def _check(heads: np.ndarray, read: Side, written: TextSide) -> None:
    if heads.ndim != 4 or heads.shape[2] != len(written.tokens):
        raise ValueError(
            f"heads: shape {heads.shape}, expected layers, heads, {len(written.tokens)} tokens "
            "written, and positions read"
        )
    if isinstance(read, TextSide) and heads.shape[3] != len(read.tokens):
        raise ValueError(
            f"heads: {heads.shape[3]} positions read, expected {len(read.tokens)}, the tokens"
        )
    if isinstance(read, PictureSide) and heads.shape[3] != math.prod(read.grid):
        rows, columns = read.grid
        raise ValueError(
            f"heads: {heads.shape[3]} positions read, expected {rows} x {columns} cells of an image"
        )
    if not np.isfinite(heads).all():
        raise ValueError("heads: a weight is NaN or infinite; expected numbers from 0 to 1")


def _unit(read: Side, written: TextSide) -> str:
    """Return the initial unit: tokens if one side is a single word of several tokens."""
    sides = (side for side in (read, written) if isinstance(side, TextSide))
    alone = any(
        len(side.words) == 1 < len(side.word_of) - side.word_of.count(None) for side in sides
    )
    return "tokens" if alone else "words"


def _table_part(heads: Float[np.ndarray, "layers heads target source"], read: Side) -> str:
    if not isinstance(read, TextSide):
        return ""
    title = "<h2>all at once, in percent</h2>\n"
    rows, columns = heads.shape[2:]
    if rows * columns > MOST_CELLS:
        return (
            f'{title}<p class="hint">Left out: {rows} x {columns} tokens are {rows * columns:,} '
            f"numbers, more than {MOST_CELLS:,}.</p>"
        )
    return f'{title}<div class="wide"><table id="table"></table></div>'


def _read(side: Side) -> dict[str, Any]:
    if isinstance(side, TextSide):
        return _text_read(side)
    return _time_read(side) if isinstance(side, TimeSide) else _picture_read(side)


def _text_read(side: TextSide) -> dict[str, Any]:
    return {"kind": "words", "rest": END, **side.to_json()}


def _time_read(side: TimeSide) -> dict[str, Any]:
    return {
        "kind": "frames",
        "tokens": [],
        "words": [],
        "seconds": round(side.seconds, 3),
        "hopSeconds": side.hop_seconds,
        "firstSeconds": side.first_seconds,
    }


def _picture_read(side: PictureSide) -> dict[str, Any]:
    rows, columns = side.grid
    return {
        "kind": "cells",
        "tokens": [_cell_name(position, columns) for position in range(rows * columns)],
        "words": [],
        "columns": columns,
        "width": side.width,
        "height": side.height,
        "cellWidth": side.cell_width,
        "cellHeight": side.cell_height,
    }


def _cell_name(position: int, columns: int) -> str:
    return f"row {position // columns + 1} column {position % columns + 1}"


def _html(record: dict[str, Any], read: Side, title: str, table: str) -> str:
    # "<" is the only character that could end the script that holds the data.
    text = json.dumps(record, ensure_ascii=False).replace("<", "\\u003c")
    layers, heads = len(record["shares"]), len(record["shares"][0])
    controls = [
        _select("layer", "layer", [(n, str(n + 1)) for n in range(layers)], layers - 1),
        _select(
            "head", "head", [(-1, "mean of all"), *((n, str(n + 1)) for n in range(heads))], -1
        ),
        _select("unit", "show", [("words", "words"), ("tokens", "tokens")], record["unit"]),
        '<span><button type="button" id="before">before</button> <span id="step"></span> '
        '<button type="button" id="after">after</button></span>',
    ]
    style, script = f"\n{_part('page.css')}{_sizes(read)}", f"\n{_part('page.js')}"
    shown = escape(visible_title(title))
    way = record["written"]["dir"]
    parts = [
        '<!doctype html>\n<html lang="und">\n<meta charset="utf-8">',
        content_policy(style, script),
        '<meta name="viewport" content="width=device-width">',
        f"<title>{shown}</title>\n<style>{style}</style>",
        f'<h1 dir="auto">{shown}</h1>',
        '<p class="hint">Point at a written word, or reach it with Tab and the arrow keys: '
        f"{_hint(read)}</p>",
        f'<div class="controls">{"".join(controls)}</div>',
        f'<h2 id="h-written">written</h2>\n<div class="row" id="written" role="listbox" '
        f'aria-labelledby="h-written" dir="{way}"></div>',
        '<p id="said" aria-live="polite"></p>',
        _read_part(record["read"], read),
        table,
        f'<script type="application/json" id="data">{text}</script>',
        f"<script>{script}</script>\n</html>\n",
    ]
    return "\n".join(parts)


def _select(name: str, label: str, choices: Sequence[tuple[Any, str]], chosen: Any) -> str:
    options = "".join(
        f'<option value="{value}"{" selected" if value == chosen else ""}>{text}</option>'
        for value, text in choices
    )
    return f'<label>{label} <select id="{name}">{options}</select></label>'


def _sizes(read: Side) -> str:
    """Return the style rules that depend on the source."""
    if isinstance(read, TimeSide):
        return f".heard .sheet {{ min-width: {max(100, round(12 * read.seconds))}%; }}\n"
    if isinstance(read, PictureSide):
        return f".seen {{ aspect-ratio: {read.width} / {read.height}; }}\n"
    return ""


def _hint(read: Side) -> str:
    if isinstance(read, PictureSide):
        return "what it attended to is bright in the picture."
    return "the bars show how its attention is shared out."


def _read_part(record: dict[str, Any], read: Side) -> str:
    if isinstance(read, TextSide):
        return (
            f'<h2 id="h-read">read</h2>\n<div class="row" id="read" role="listbox" '
            f'aria-labelledby="h-read" dir="{record["dir"]}"></div>'
        )
    if isinstance(read, PictureSide):
        return _seen_part(read)
    picture = base64.b64encode(_spectrogram(read.frames)).decode()
    sound = ""
    if read.wav is not None:
        wav = base64.b64encode(read.wav).decode()
        sound = f'<audio id="sound" controls src="data:audio/wav;base64,{wav}"></audio>'
    return (
        '<h2>heard</h2>\n<p class="scale" aria-hidden="true">the tallest bar of all words: '
        '<span id="top"></span></p>\n<div class="heard">'
        '<div class="sheet">'
        f'<svg id="curve" viewBox="0 0 {read.seconds:.3f} 1" preserveAspectRatio="none" '
        'role="img" aria-label="what the chosen word attended to"></svg>'
        f'<img alt="spectrogram" src="data:image/png;base64,{picture}">'
        '<div class="now" id="now"></div></div>'
        f'<div class="seconds"><span>0 s</span><span>{read.seconds:.2f} s</span></div></div>\n'
        f"{sound}"
    )


def _seen_part(read: PictureSide) -> str:
    picture = base64.b64encode(read.image).decode()
    return (
        '<h2>seen</h2>\n<p class="hint">The cell attended to most has a frame. Point at a cell, '
        "or go there with Tab and the arrow keys, to see which words attended to it.</p>\n"
        '<p class="scale" aria-hidden="true">0 % <i></i> <span id="top"></span> of the attention '
        "in a cell, the same for all words</p>\n"
        '<div class="seen">'
        f'<img alt="what was read" src="data:{_kind(read.image)};base64,{picture}">'
        f'<svg id="cells" viewBox="0 0 {read.width} {read.height}" preserveAspectRatio="none" '
        'tabindex="0" role="application" aria-label="cells of the picture"><g id="veils"></g>'
        '<g id="frames" pointer-events="none"></g></svg></div>'
    )


def _kind(image: bytes) -> str:
    r"""Return the media type of an image by its first bytes.

    Raises:
        ValueError: It is not a type that browsers display.

    >>> _kind(b"\x89PNG...")
    'image/png'
    """
    starts = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}
    for start, kind in starts.items():
        if image.startswith(start):
            return f"image/{kind}"
    raise ValueError("image: expected the bytes of a PNG, JPEG, GIF or WebP file")


def _spectrogram(frames: np.ndarray) -> bytes:
    """Draw frames as a PNG: darker is larger, and the quietest twentieth is white."""
    import io

    from matplotlib.image import imsave

    low, high = np.percentile(frames, [5.0, 99.5]) if frames.size else (0.0, 1.0)
    buffer = io.BytesIO()
    sheet = frames.T if frames.size else np.zeros((1, 1))
    imsave(buffer, sheet, cmap="gray_r", origin="lower", vmin=low, vmax=max(high, low + 1e-9))
    return buffer.getvalue()


def _part(name: str) -> str:
    return files("kochi.view").joinpath(name).read_text(encoding="utf-8")
