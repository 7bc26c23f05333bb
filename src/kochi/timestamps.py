"""When each token was said, read off an alignment to frames.

The rule, for tokens i with alignment a[i, j] to positions j at times t[j]:

1. Speech goes forward: the positions are dealt out among the tokens in order, to each at least
   one, so that the sum of log(a[i, j] + ``FLOOR``) over all positions j, each with its token i, is
   the largest (Viterbi 1967, https://doi.org/10.1109/TIT.1967.1054010). It is dynamic time warping
   (Sakoe and Chiba 1978, https://doi.org/10.1109/TASSP.1978.1163055) in which no position has two
   tokens; where there are fewer positions than tokens, each is split into equal parts.
2. A token's centre is the mean of t[j] over its positions, weighted by a[i, j].
3. A token lasts as long as its positions, but reaches no further than ``REACH_SECONDS`` from its
   centre: what is between two tokens then is a pause. Outwards, where silence may be, the first and
   the last of several reach as far from their centres as inwards, or as far as centres lie apart
   on average if that is more (half a position at least). Spans do not overlap.
4. The border between two words is half way between the end of the last token of the one and the
   start of the first of the other that are not spaces, with the same reach. (A space is not heard:
   to give it a time of its own makes words end too early.)

An attention model does not look at the borders of what it writes, so these are times to find a word
by, not a phonetician's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from kochi.memory import Frames

FLOOR = 1e-3  # a weight that is no weight
REACH_SECONDS = 0.5


@dataclass(frozen=True)
class Timed:
    """A token or word, and when it was said."""

    text: str
    start_seconds: float
    end_seconds: float

    def to_record(self) -> dict[str, str | float]:
        """Return plain values for JSON, to the millisecond."""
        start, end = round(self.start_seconds, 3), round(self.end_seconds, 3)
        return {"text": self.text, "start_seconds": start, "end_seconds": end}


@dataclass(frozen=True)
class Stretches:
    """What each token has of the recording: steps 1 and 2 of the rule above.

    Attributes:
        starts: Where the token's positions begin, in seconds.
        ends: Where they end, which is where those of the next begin.
        centres: Around which second it was said.
    """

    starts: Float[np.ndarray, " target"]
    ends: Float[np.ndarray, " target"]
    centres: Float[np.ndarray, " target"]


def find_stretches(
    alignment: Float[Tensor, "target source"], layout: Frames, end_seconds: float
) -> Stretches:
    """Deal out the positions among the tokens.

    Args:
        alignment: A row a token.
        layout: Where the alignment's positions are in time.
        end_seconds: How long the recording is.
    """
    weights = alignment.double().numpy()
    tokens, positions = weights.shape
    if not tokens:
        return Stretches(np.zeros(0), np.zeros(0), np.zeros(0))
    parts = -(-tokens // positions)
    weights = np.repeat(weights, parts, axis=1)
    hop = layout.hop_seconds / parts
    edges = layout.first_seconds - layout.hop_seconds / 2 + hop * np.arange(weights.shape[1] + 1)
    first = forward_path(np.log(weights + FLOOR))
    last = np.append(first[1:], weights.shape[1])
    times = (edges[1:] + edges[:-1]) / 2
    centres = [
        np.average(times[start:end], weights=row[start:end] + FLOOR)
        for row, start, end in zip(weights, first, last, strict=True)
    ]
    within = (np.clip(row, 0.0, end_seconds) for row in (edges[first], edges[last], centres))
    return Stretches(*within)


def time_answer(
    tokens: Sequence[str],
    pieces: Sequence[str],
    alignment: Float[Tensor, "target source"],
    layout: Frames,
    end_seconds: float,
) -> tuple[tuple[Timed, ...], tuple[Timed, ...]]:
    """Say when each token and each word of an answer was said, by the rule above.

    Args:
        tokens: A name for each row of the alignment.
        pieces: What each token adds to the text, with its spaces.
        alignment: A row a token.
        layout: Where the alignment's positions are in time.
        end_seconds: How long the recording is.
    """
    stretches = find_stretches(alignment, layout, end_seconds)
    times = time_tokens(tokens, stretches, layout, end_seconds)
    return times, time_words(pieces, stretches, times)


def forward_path(gains: Float[np.ndarray, "target source"]) -> Int[np.ndarray, " target"]:
    """Deal out columns among rows in order, so that the sum of the gains is the largest.

    Args:
        gains: Of each row, if it has the column; not more rows than columns.

    Returns:
        The first column of each row.

    >>> forward_path(np.array([[3.0, 1.0, 0.0, 0.0], [0.0, 2.0, 0.0, 1.0]])).tolist()
    [0, 1]
    """
    rows, columns = gains.shape
    best = np.full(rows, -np.inf)
    best[0] = gains[0, 0]
    comes = np.zeros((columns, rows), dtype=bool)  # from the row before
    for column in range(1, columns):
        before = np.concatenate([[-np.inf], best[:-1]])
        comes[column] = before > best
        best = np.maximum(before, best) + gains[:, column]
    first = np.zeros(rows, dtype=np.int64)
    row = rows - 1
    for column in range(columns - 1, 0, -1):
        if comes[column, row]:
            first[row] = column
            row -= 1
    return first


def time_tokens(
    tokens: Sequence[str], stretches: Stretches, layout: Frames, end_seconds: float
) -> tuple[Timed, ...]:
    """Say when each token was said: step 3 of the rule above.

    Args:
        tokens: One for each stretch.
        stretches: From `find_stretches`.
        layout: Where the alignment's positions are in time.
        end_seconds: How long the recording is.
    """
    if not tokens:
        return ()
    centres = stretches.centres
    starts = np.maximum(stretches.starts, centres - REACH_SECONDS)
    ends = np.minimum(stretches.ends, centres + REACH_SECONDS)
    if len(tokens) > 1:
        least = max(layout.hop_seconds / 2, float(np.diff(centres).mean()))
        starts[0] = max(starts[0], centres[0] - max(ends[0] - centres[0], least), 0.0)
        ends[-1] = min(ends[-1], centres[-1] + max(centres[-1] - starts[-1], least), end_seconds)
    spans = zip(tokens, starts.tolist(), ends.tolist(), strict=True)
    return tuple(Timed(token, start, end) for token, start, end in spans)


def time_words(
    pieces: Sequence[str], stretches: Stretches, times: Sequence[Timed]
) -> tuple[Timed, ...]:
    """Say when each word was said: step 4 of the rule above.

    Args:
        pieces: What each token adds to the text, with its spaces.
        stretches: Of the tokens, from `find_stretches`.
        times: Of the tokens, from `time_tokens`.

    >>> places = np.array([0.0, 0.2, 0.5, 0.9])
    >>> stretches = Stretches(places[:-1], places[1:], (places[:-1] + places[1:]) / 2)
    >>> times = [Timed("", 0.0, 0.2), Timed("", 0.2, 0.5), Timed("", 0.5, 0.9)]
    >>> [(word.text, word.end_seconds) for word in time_words([" a", "b", " c"], stretches, times)]
    [('ab', 0.5), ('c', 0.9)]
    """
    texts: list[str] = []
    first: list[int] = []  # token of each word
    last: list[int] = []
    open_word = False
    for token, piece in enumerate(pieces):
        for place, part in enumerate(piece.split(" ")):
            open_word = open_word and place == 0
            if not part:
                continue
            if open_word:
                texts[-1], last[-1] = texts[-1] + part, token
            else:
                texts.append(part)
                first.append(token)
                last.append(token)
            open_word = True
    if not texts:
        return ()
    starts = np.array([times[token].start_seconds for token in first])
    ends = np.array([times[token].end_seconds for token in last])
    borders = (stretches.ends[last[:-1]] + stretches.starts[first[1:]]) / 2
    # A token that is in two words ends its part of the first before its own end.
    centres = stretches.centres
    starts[1:] = np.maximum(borders, centres[first[1:]] - REACH_SECONDS)
    ends[:-1] = np.minimum(borders, centres[last[:-1]] + REACH_SECONDS)
    words = zip(texts, starts.tolist(), ends.tolist(), strict=True)
    return tuple(Timed(*word) for word in words)
