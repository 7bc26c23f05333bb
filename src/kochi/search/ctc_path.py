"""Where CTC says each token of a known text: the best of the paths that spell it.

Graves, Fernández, Gomez and Schmidhuber 2006, https://doi.org/10.1145/1143844.1143891, section 4.1:
the lattice of their forward pass, with the largest instead of the sum (Viterbi).
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kochi.search.ctc import BLANK


def ctc_path(
    log_probs: Float[Tensor, "places vocabulary"], tokens: Sequence[int]
) -> Int[np.ndarray, "tokens 2"] | None:
    """Return the first and the last place of each token on the most probable path.

    A path has a token or a blank at each place, spells the tokens in their order, may stay on a
    token, and has a blank between two equal ones. Of equally probable paths, the one that moves on
    latest.

    Args:
        log_probs: Of each token at each place; number `BLANK` is the blank.
        tokens: What is spelt, without begin and end marks.

    Returns:
        The places, both inclusive; None where no path spells so many tokens in so few places.

    >>> sure = torch.tensor([[0.1, 0.8, 0.1], [0.1, 0.7, 0.2], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    >>> ctc_path(sure.log(), [1, 2]).tolist()
    [[0, 1], [3, 3]]
    """
    if not tokens:
        return np.zeros((0, 2), np.int64)
    # States: blank, first token, blank, second token, ..., blank.
    labels = np.full(2 * len(tokens) + 1, BLANK)
    labels[1::2] = tokens
    leaps = np.zeros(len(labels), bool)  # over the blank before
    leaps[3::2] = labels[3::2] != labels[1:-2:2]
    scores = log_probs.detach().double().cpu().numpy()[:, labels]
    best = np.full(len(labels), -np.inf)
    came = np.zeros(scores.shape, np.int64)  # how many states a path came forward
    for place, score in enumerate(scores):
        if place == 0:
            best[:2] = score[:2]
            continue
        ways = np.full((3, len(labels)), -np.inf)
        ways[0] = best
        ways[1, 1:] = best[:-1]
        ways[2, 2:] = np.where(leaps[2:], best[:-2], -np.inf)
        came[place] = ways.argmax(0)
        best = ways.max(0) + score
    if not len(scores) or best[-2:].max() == -np.inf:
        return None
    state = len(labels) - 2 + int(best[-1] > best[-2])
    found = np.full((len(tokens), 2), -1)
    for place in range(len(scores) - 1, -1, -1):
        if state % 2:
            token = state // 2
            found[token, 1] = place if found[token, 1] < 0 else found[token, 1]
            found[token, 0] = place
        state -= came[place, state]
    return found


def ctc_log_probs(
    layer: torch.nn.Linear, values: Float[Tensor, "*batch places size"]
) -> Float[Tensor, "*batch places vocabulary"]:
    """Return what CTC's output layer says at each place."""
    return layer(values).float().log_softmax(-1)
