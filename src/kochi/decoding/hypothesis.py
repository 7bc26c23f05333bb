"""A hypothesis: one decoded output."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One decoded output for one sentence.

    Attributes:
        tokens: The tokens, without the begin and end marks.
        score: The score for ranking: log_probability / length ** length_penalty, where the length
            includes the end mark. In nats; larger is better.
        log_probability: Sum of the log-probabilities of all tokens including the end mark, in nats.
        finished: Whether it ended with the end mark rather than at its maximum length.
    """

    tokens: list[int]
    score: float
    log_probability: float
    finished: bool


def normalise(log_probability: float, length: int, length_penalty: float) -> float:
    """Divide a log-probability by length ** length_penalty.

    Wu et al. 2016, https://arxiv.org/abs/1609.08144, equation 14, in the plain form of Boulanger-
    Lewandowski et al. 2013 (no constant 5 in the denominator).

    >>> normalise(-6.0, 4, 0.5)
    -3.0
    """
    return log_probability / length**length_penalty
