"""Greedy search: the likeliest token at every step."""

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
    """Take the likeliest token at every step, the lowest one among equals.

    Args:
        decoder: In eval mode, or dropout takes part.
        memory: What the sentences left.
        max_length: Most tokens an answer may have, the end mark counted.
        length_penalty: Exponent of the length in the score; it changes no answer.
        min_length: Fewest tokens before the end mark.
        unknown: Whether the unknown token may be part of an answer; see `forbid_marks`.

    Returns:
        A list of one hypothesis for each sentence.

    Raises:
        ValueError: An option out of range, or logits that are NaN or +inf.
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
