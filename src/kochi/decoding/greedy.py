"""Greedy search: the most probable token at every step."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kochi.decoding.decoder import StepDecoder
from kochi.decoding.hypothesis import Hypothesis
from kochi.decoding.steps import follow
from kochi.memory import Memory


@torch.inference_mode()
def greedy(
    decoder: StepDecoder,
    memory: Memory,
    *,
    max_length: int | Int[Tensor, " batch"],
    length_penalty: float = 1.0,
    min_length: int = 0,
    unknown: bool = False,
) -> list[list[Hypothesis]]:
    """Take the most probable token at every step; ties go to the lowest token.

    Args:
        decoder: The decoder, in eval mode (otherwise dropout is applied).
        memory: The encoded sentences.
        max_length: Maximum number of tokens, including the end mark.
        length_penalty: Exponent of the length in the score; it does not affect the output.
        min_length: Minimum number of tokens before the end mark.
        unknown: Whether the output may contain the unknown token; see `forbid_marks`.

    Returns:
        For each sentence, a list with one hypothesis.

    Raises:
        ValueError: An option is out of range, or logits are NaN or +inf.
    """
    return follow(
        decoder,
        memory,
        _likeliest,
        width=1,
        max_length=max_length,
        length_penalty=length_penalty,
        min_length=min_length,
        unknown=unknown,
    )


def _likeliest(
    log_probs: Float[Tensor, "batch width vocabulary"], rows: Int[Tensor, " batch"], length: int
) -> Int[Tensor, "batch width"]:
    return log_probs.argmax(-1)  # the first among equals
