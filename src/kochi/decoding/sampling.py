"""Sampling: each token is drawn from the model's distribution."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kochi.decoding.candidates import best_candidates
from kochi.decoding.counter_rng import uniform
from kochi.decoding.decoder import StepDecoder
from kochi.decoding.hypothesis import Hypothesis
from kochi.decoding.steps import follow
from kochi.memory import Memory


def sentence_seeds(generator: torch.Generator | None, count: int) -> Int[Tensor, " count"]:
    """Draw one seed a sentence; n at once are the same as n one by one.

    Draw them for all sentences in the order of the input, before they are sorted into batches.
    """
    device = "cpu" if generator is None else generator.device
    return torch.randint(0, 2**63 - 1, (count,), generator=generator, device=device)


@torch.inference_mode()
def sample(
    decoder: StepDecoder,
    memory: Memory,
    *,
    max_length: int | Int[Tensor, " batch"],
    temperature: float = 1.0,
    top_k: int | None = None,
    n: int = 1,
    generator: torch.Generator | None = None,
    seeds: Int[Tensor, " seeds"] | None = None,
    length_penalty: float = 1.0,
    min_length: int = 0,
    unknown: bool = False,
) -> list[list[Hypothesis]]:
    """Draw ``n`` answers a sentence, each token from softmax(logits / temperature).

    A sentence's draws depend on its seed alone, and sample i is the same for every ``n`` >= i.

    Args:
        decoder: In eval mode, or dropout takes part.
        memory: What the sentences left.
        max_length: Most tokens an answer may have, the end mark counted.
        temperature: Below 1 the likely tokens gain, above 1 the unlikely ones; greater than 0.
        top_k: Draw among that many likeliest tokens (Fan et al. 2018,
            https://arxiv.org/abs/1805.04833, section 5.4); None for all.
        n: How many answers to draw.
        generator: Gives each sentence its seed (`sentence_seeds`); None for torch's own.
        seeds: The seeds themselves, in place of ``generator``.
        length_penalty: Exponent of the length in the score; it changes no answer.
        min_length: Fewest tokens before the end mark.
        unknown: Whether the unknown token may be part of an answer; see `forbid_marks`.

    Returns:
        For each sentence ``n`` hypotheses in the order drawn, so that each is a fair draw. Their
        log-probabilities are the model's, whatever temperature and top_k.

    Raises:
        ValueError: An option out of range, or logits that are NaN or +inf.
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be finite and greater than 0, got {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if generator is not None and seeds is not None:
        raise ValueError("give generator or seeds, not both")
    if seeds is None:
        seeds = sentence_seeds(generator, len(memory.mask))
    if len(seeds) != len(memory.mask):
        raise ValueError(f"seeds: expected {len(memory.mask)}, one a sentence, got {len(seeds)}")
    return follow(
        decoder,
        memory,
        _Draw(seeds.to(memory.mask.device), temperature, top_k),
        width=n,
        max_length=max_length,
        length_penalty=length_penalty,
        min_length=min_length,
        unknown=unknown,
    )


@dataclass(frozen=True)
class _Draw:
    seeds: Int[Tensor, " batch"]
    temperature: float
    top_k: int | None

    def __call__(
        self,
        log_probs: Float[Tensor, "batch width vocabulary"],
        rows: Int[Tensor, " batch"],
        length: int,
    ) -> Int[Tensor, "batch width"]:
        where = uniform(self.seeds[rows], log_probs.shape[1], length)
        if self.top_k is None:
            return invert(log_probs.double() / self.temperature, where)
        single = log_probs.flatten(0, 1).unsqueeze(1)
        count = min(self.top_k, log_probs.shape[-1])
        best, _, tokens = best_candidates(single, torch.zeros_like(single[..., 0]), count)
        weights = best.view(*where.shape, -1).double() / self.temperature
        return tokens.view_as(weights).gather(-1, invert(weights, where).unsqueeze(-1)).squeeze(-1)


def invert(
    weights: Float[Tensor, "batch width size"], where: Float[Tensor, "batch width"]
) -> Int[Tensor, "batch width"]:
    """Return the place at which the sum of softmax(weights) from the left first exceeds ``where``.

    A place of weight -inf is never returned, unless all are.

    >>> weights = torch.tensor([[[0.25, 0.5, 0.25]]], dtype=torch.float64).log().expand(1, 3, 3)
    >>> invert(weights, torch.tensor([[0.2, 0.3, 0.8]], dtype=torch.float64)).tolist()
    [[0, 1, 2]]
    """
    sums = weights.softmax(-1).cumsum(-1)
    total = sums[..., -1]
    target = torch.minimum(where * total, torch.nextafter(total, torch.zeros_like(total)))
    places = torch.searchsorted(sums, target.unsqueeze(-1), right=True).squeeze(-1)
    return places.clamp(max=weights.shape[-1] - 1)
