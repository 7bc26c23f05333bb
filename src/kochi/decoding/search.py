"""Deterministic search: beam search, or greedy search for a beam of 1."""

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
    """Search for the best hypotheses, with `greedy` for ``beam`` = 1, else with `beam_search`.

    Args:
        decoder: The decoder, in eval mode (otherwise dropout is applied).
        memory: The encoded sentences.
        max_length: Maximum number of tokens, including the end mark; see `length_limits`.
        beam: Number of live prefixes.
        length_penalty: Exponent of the length that divides the log-probability in the score.
        n_best: Number of hypotheses to return, at most ``beam``.
        min_length: Minimum number of tokens before the end mark.
        patience: Also stop a sentence when ``patience`` times ``beam`` hypotheses have finished;
            see `beam_search`. Greedy search stops at the first.
        joint: An external scorer, such as `CtcPrefixScore`; it always uses `beam_search`.
        unknown: Whether the output may contain the unknown token; see `forbid_marks`.

    Returns:
        The hypotheses of each sentence, best first.

    Raises:
        ValueError: An option is out of range, or logits are NaN or +inf.
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
