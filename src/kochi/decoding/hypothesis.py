"""An answer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One answer to one sentence.

    Attributes:
        tokens: The answer, without the begin and end marks.
        score: What answers compete by: log_probability / length ** length_penalty, where the length
            counts the end mark. Nats; larger is better.
        log_probability: Sum of the tokens' log-probabilities in nats, the end mark's included.
        finished: Whether the answer ended by itself rather than at its maximum length.
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
