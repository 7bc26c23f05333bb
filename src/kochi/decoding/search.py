"""The door to deterministic search: beam search, or greedy search for a beam of 1."""

from jaxtyping import Int
from torch import Tensor

from kochi.decoding.beam import beam_search
from kochi.decoding.decoder import StepDecoder
from kochi.decoding.external_scorer import ExternalScorer
from kochi.decoding.greedy import greedy
from kochi.decoding.hypothesis import Hypothesis
from kochi.memory import Memory


def search(
    decoder: StepDecoder,
    memory: Memory,
    *,
    max_length: int | Int[Tensor, " batch"],
    beam: int = 5,
    length_penalty: float = 1.0,
    n_best: int = 1,
    min_length: int = 0,
    patience: float | None = None,
    joint: ExternalScorer | None = None,
    unknown: bool = False,
) -> list[list[Hypothesis]]:
    """Search the best answers; ``beam`` = 1 is `greedy`, more is `beam_search`.

    Args:
        decoder: In eval mode, or dropout takes part.
        memory: What the sentences left.
        max_length: Most tokens an answer may have, the end mark counted; see `length_limits`.
        beam: How many beginnings of an answer live at once.
        length_penalty: Exponent of the length that divides the log-probability in the score.
        n_best: How many answers to return, at most ``beam``.
        min_length: Fewest tokens before the end mark.
        patience: Stop a sentence also when ``patience`` times ``beam`` hypotheses have ended; see
            `beam_search`. Greedy search stops at the first.
        joint: Scores beside the decoder, such as `CtcPrefixScore`; then it is always `beam_search`.
        unknown: Whether the unknown token may be part of an answer; see `forbid_marks`.

    Returns:
        For each sentence its hypotheses, best first.

    Raises:
        ValueError: An option out of range, or logits that are NaN or +inf.
    """
    if beam != 1 or n_best != 1 or joint is not None:
        return beam_search(
            decoder,
            memory,
            max_length=max_length,
            beam=beam,
            length_penalty=length_penalty,
            n_best=n_best,
            min_length=min_length,
            patience=patience,
            joint=joint,
            unknown=unknown,
        )
    return greedy(
        decoder,
        memory,
        max_length=max_length,
        length_penalty=length_penalty,
        min_length=min_length,
        unknown=unknown,
    )
