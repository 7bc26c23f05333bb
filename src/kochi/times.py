"""When each token was said, read off an alignment to frames.

The rule, for tokens i with alignment a[i, j] to positions j at times t[j]:

1. A token's peak is the position it looks at most. Its centre is the mean of t[j] weighted by
   a[i, j] over the positions within ``WINDOW_SECONDS`` of the peak: what lies elsewhere is stray.
2. Speech goes forward: the centres are replaced by the non-decreasing row that is nearest to them
   in squares, each weighted by the alignment within its window (isotonic regression by pooling
   adjacent violators: Barlow et al. 1972, "Statistical inference under order restrictions"; de
   Leeuw et al. 2009, https://doi.org/10.18637/jss.v032.i05). A token that looks everywhere gives
   way to those that know.
3. Between two tokens the border is half way between their centres, but neither reaches further than
   ``REACH_SECONDS`` from its centre: what is between them then is a pause. The first and the last
   reach as far outwards as inwards (half a position at least), within the recording. Spans do not
   overlap.
4. The border between two words is half way between the last token of the one and the first of the
   other that are not spaces, with the same reach. (A space is not heard: to give it a time of its
   own makes words end too early.)

An attention model does not look at the borders of what it writes, so these are times to find a word
by, not a phonetician's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from kochi.memory import Frames

WINDOW_SECONDS = 0.2
REACH_SECONDS = 0.5


@dataclass(frozen=True)
class Timed:
    """A token or word, and when it was said."""

    text: str
    start_seconds: float
    end_seconds: float


def find_centres(
    alignment: Float[Tensor, "target source"], layout: Frames, end_seconds: float
) -> Float[np.ndarray, " target"]:
    """Say around which second each token was said: steps 1 and 2 of the rule above.

    Args:
        alignment: A row a token.
        layout: Where the alignment's positions are in time.
        end_seconds: How long the recording is.
    """
    if not len(alignment):
        return np.zeros(0)
    weights = alignment.double().numpy()
    times = layout.first_seconds + layout.hop_seconds * np.arange(weights.shape[1])
    near = np.abs(times - times[weights.argmax(1)][:, None]) <= WINDOW_SECONDS
    kept = np.where(near, weights, 0.0)
    mass = np.maximum(kept.sum(1), 1e-9)
    return np.clip(rising((kept @ times) / mass, mass), 0.0, end_seconds)


def time_tokens(
    tokens: Sequence[str],
    centres: Float[np.ndarray, " target"],
    layout: Frames,
    end_seconds: float,
) -> tuple[Timed, ...]:
    """Say when each token was said: step 3 of the rule above.

    Args:
        tokens: One for each centre.
        centres: From `find_centres`.
        layout: Where the alignment's positions are in time.
        end_seconds: How long the recording is.
    """
    if not tokens:
        return ()
    reach = np.minimum(np.diff(centres) / 2, REACH_SECONDS)
    outer = np.maximum(reach if len(reach) else [0.0], layout.hop_seconds / 2)
    starts = np.maximum(centres - np.concatenate([outer[:1], reach]), 0.0)
    ends = np.minimum(centres + np.concatenate([reach, outer[-1:]]), end_seconds)
    spans = zip(tokens, starts.tolist(), ends.tolist(), strict=True)
    return tuple(Timed(token, start, end) for token, start, end in spans)


def rising(
    values: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Return the nearest non-decreasing values, in weighted squares.

    >>> rising(np.array([1.0, 4.0, 2.0, 5.0]), np.ones(4)).tolist()
    [1.0, 3.0, 3.0, 5.0]
    """
    blocks: list[list[float]] = []  # mean, weight, count
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, mass, count = blocks.pop()
            last = blocks[-1]
            total = last[1] + mass
            blocks[-1] = [(last[0] * last[1] + mean * mass) / total, total, last[2] + count]
    return np.repeat([block[0] for block in blocks], [int(block[2]) for block in blocks])


def time_words(
    pieces: Sequence[str],
    centres: Float[np.ndarray, " target"],
    times: Sequence[Timed],
    end_seconds: float,
) -> tuple[Timed, ...]:
    """Say when each word was said: step 4 of the rule above.

    Args:
        pieces: What each token adds to the text, with its spaces.
        centres: Of the tokens, from `find_centres`.
        times: Of the tokens, from `time_tokens`.
        end_seconds: How long the recording is.

    >>> centres, times = np.array([0.1, 0.3, 0.7]), [Timed("", 0.0, 0.2), Timed("", 0.2, 0.5)]
    >>> words = time_words([" a", "b", " c"], centres, [*times, Timed("", 0.5, 0.9)], 1.0)
    >>> [(word.text, round(word.start_seconds, 3), round(word.end_seconds, 3)) for word in words]
    [('ab', 0.0, 0.5), ('c', 0.5, 0.9)]
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
    begins, finishes = centres[first], centres[last]
    reach = np.minimum((begins[1:] - finishes[:-1]) / 2, REACH_SECONDS)
    outer = reach if len(reach) else np.zeros(1)
    start = min(times[first[0]].start_seconds, max(0.0, float(begins[0] - outer[0])))
    end = max(times[last[-1]].end_seconds, min(end_seconds, float(finishes[-1] + outer[-1])))
    starts = [start, *(begins[1:] - reach).tolist()]
    ends = [*(finishes[:-1] + reach).tolist(), end]
    return tuple(Timed(*word) for word in zip(texts, starts, ends, strict=True))
