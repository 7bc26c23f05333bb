"""Timestamps of tokens and words, derived from an alignment to frames.

The rule, for tokens i with alignment a[i, j] to positions j at times t[j]:

1. Speech is monotonic: the positions are divided among the tokens in order, at least one for each,
   so that the sum of log(a[i, j] + ``FLOOR``) over all positions j, each with its token i, is
   maximal (Viterbi 1967, https://doi.org/10.1109/TIT.1967.1054010). This is dynamic time warping
   (Sakoe and Chiba 1978, https://doi.org/10.1109/TASSP.1978.1163055) in which no position has two
   tokens; if there are fewer positions than tokens, each is split into equal parts.
2. A token's centre is the mean of t[j] over its positions, weighted by a[i, j].
3. A token lasts as long as its positions, but extends no further than ``REACH_SECONDS`` from its
   centre: the gap between two tokens is then a pause. The outer sides of the first and the last of
   several tokens, where there may be silence, extend as far from their centres as the inner sides,
   or by the mean distance of centres if that is larger (half a position at least). Spans do not
   overlap.
4. The boundary between two words is half way between the end of the last token of the one and the
   start of the first of the other, ignoring spaces, within the same limit. (A space is inaudible:
   with a span of its own, words would end too early.)

An attention model does not attend to the boundaries of words, so these times serve to find a word
and are not precise enough for phonetics.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from kochi.memory import Frames

FLOOR = 1e-3  # a negligible weight
REACH_SECONDS = 0.5


@dataclass(frozen=True)
class Timed:
    """A token or word, with its start and end time."""

    text: str
    start_seconds: float
    end_seconds: float

    def to_record(self) -> dict[str, str | float]:
        """Return plain values for JSON, rounded to milliseconds."""
        start, end = round(self.start_seconds, 3), round(self.end_seconds, 3)
        return {"text": self.text, "start_seconds": start, "end_seconds": end}


@dataclass(frozen=True)
class Stretches:
    """The part of the recording of each token: steps 1 and 2 of the rule above.

    Attributes:
        starts: Start of the token's positions, in seconds.
        ends: Their end, which is the start of the next token's positions.
        centres: The centre of each token, in seconds.
    """

    starts: Float[np.ndarray, " target"]
    ends: Float[np.ndarray, " target"]
    centres: Float[np.ndarray, " target"]


def find_stretches(
    alignment: Float[Tensor, "target source"], layout: Frames, end_seconds: float
) -> Stretches:
    """Divide the positions among the tokens.

    Args:
        alignment: One row per token.
        layout: The times of the alignment's positions.
        end_seconds: Duration of the recording.
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
    """Compute the times of each token and word of a prediction, by the rule above.

    Args:
        tokens: A name for each row of the alignment.
        pieces: The text that each token adds, including its spaces.
        alignment: One row per token.
        layout: The times of the alignment's positions.
        end_seconds: Duration of the recording.
    """
    stretches = find_stretches(alignment, layout, end_seconds)
    times = time_tokens(tokens, stretches, layout, end_seconds)
    return times, time_words(pieces, stretches, times)


def forward_path(gains: Float[np.ndarray, "target source"]) -> Int[np.ndarray, " target"]:
    """Divide columns among rows in order, so that the sum of the gains is maximal.

    Args:
        gains: The gain of each row from each column; at most as many rows as columns.

    Returns:
        The first column of each row.

    >>> forward_path(np.array([[3.0, 1.0, 0.0, 0.0], [0.0, 2.0, 0.0, 1.0]])).tolist()
    [0, 1]
    """
    rows, columns = gains.shape
    best = np.full(rows, -np.inf)
    best[0] = gains[0, 0]
    comes = np.zeros((columns, rows), dtype=bool)  # from the previous row
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
    """Compute the times of each token: step 3 of the rule above.

    Args:
        tokens: One for each stretch.
        stretches: The result of `find_stretches`.
        layout: The times of the alignment's positions.
        end_seconds: Duration of the recording.
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
    """Compute the times of each word: step 4 of the rule above.

    Args:
        pieces: The text that each token adds, including its spaces.
        stretches: Those of the tokens, from `find_stretches`.
        times: Those of the tokens, from `time_tokens`.

    >>> positions = np.array([0.0, 0.2, 0.5, 0.9])
    >>> stretches = Stretches(positions[:-1], positions[1:], (positions[:-1] + positions[1:]) / 2)
    >>> times = [Timed("", 0.0, 0.2), Timed("", 0.2, 0.5), Timed("", 0.5, 0.9)]
    >>> [(word.text, word.end_seconds) for word in time_words([" a", "b", " c"], stretches, times)]
    [('ab', 0.5), ('c', 0.9)]
    """
    texts: list[str] = []
    first: list[int] = []  # first token of each word
    last: list[int] = []
    open_word = False
    for token, piece in enumerate(pieces):
        for position, part in enumerate(piece.split(" ")):
            open_word = open_word and position == 0
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
    # A token that spans two words ends its part of the first before its own end.
    centres = stretches.centres
    starts[1:] = np.maximum(borders, centres[first[1:]] - REACH_SECONDS)
    ends[:-1] = np.minimum(borders, centres[last[:-1]] + REACH_SECONDS)
    words = zip(texts, starts.tolist(), ends.tolist(), strict=True)
    return tuple(Timed(*word) for word in words)
