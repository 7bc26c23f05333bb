"""The log-probability of given targets, step by step."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from kochi.decoding.candidates import log_probabilities_
from kochi.decoding.decoder import StepDecoder
from kochi.memory import Memory
from kochi.special_tokens import BOS, EOS, PAD


def score_targets(
    decoder: StepDecoder, memory: Memory, targets: Sequence[Sequence[int]], end: bool = True
) -> Float[Tensor, " batch"]:
    """Compute the log-probability of each sentence's target with the same steps as search.

    It equals that of teacher forcing over the whole target, and the log_probability of a hypothesis
    with these tokens.

    Args:
        decoder: The decoder, in eval mode (otherwise dropout is applied).
        memory: The encoded sentences.
        targets: One target per sentence, without begin and end marks; lengths may differ.
        end: Include the end mark; use False for a prefix of a target.

    Returns:
        Sums in nats, float64.

    Raises:
        ValueError: The number of targets is wrong, or logits are NaN or +inf.
    """
    batch = len(memory.mask)
    if len(targets) != batch:
        raise ValueError(f"targets: expected {batch}, one per sentence, got {len(targets)}")
    rows = [[*target, EOS] if end else list(target) for target in targets]
    device = memory.mask.device
    sums = torch.zeros(batch, dtype=torch.float64, device=device)
    steps = max(map(len, rows), default=0)
    if steps == 0:
        return sums
    wanted = torch.tensor([row + [PAD] * (steps - len(row)) for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    tokens = torch.full((batch, 1), BOS, device=device)
    state = decoder.start(memory, width=1, max_length=steps)
    for step in range(steps):
        logits, state = decoder.step(state, tokens)
        log_probs = log_probabilities_(logits)
        tokens = wanted[:, step : step + 1]
        gains = log_probs.squeeze(1).gather(1, tokens).squeeze(1).double()
        sums = sums + gains.where(step < lengths, 0.0)
    return sums
