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
    """Draw one seed per sentence; n at once equal n drawn one by one.

    Draw the seeds of all sentences in input order, before they are sorted into batches.
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
    """Draw ``n`` samples per sentence, each token from softmax(logits / temperature).

    The samples of a sentence depend only on its seed, and sample i is the same for every ``n`` >=
    i.

    Args:
        decoder: The decoder, in eval mode (otherwise dropout is applied).
        memory: The encoded sentences.
        max_length: Maximum number of tokens, including the end mark.
        temperature: Below 1 favours probable tokens, above 1 improbable ones; greater than 0.
        top_k: Sample from this number of most probable tokens (Fan et al. 2018,
            https://arxiv.org/abs/1805.04833, section 5.4); None for all.
        n: Number of samples per sentence.
        generator: Generator of the sentences' seeds (`sentence_seeds`); None for torch's default.
        seeds: The seeds themselves, instead of ``generator``.
        length_penalty: Exponent of the length in the score; it does not affect the output.
        min_length: Minimum number of tokens before the end mark.
        unknown: Whether the output may contain the unknown token; see `forbid_marks`.

    Returns:
        For each sentence, ``n`` hypotheses in the order drawn. Their log-probabilities are the
        model's, regardless of temperature and top_k.

    Raises:
        ValueError: An option is out of range, or logits are NaN or +inf.
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
        raise ValueError(f"seeds: expected {len(memory.mask)}, one per sentence, got {len(seeds)}")
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
    """Return the index at which the cumulative sum of softmax(weights) first exceeds ``where``.

    An index of weight -inf is never returned, unless all are.

    >>> weights = torch.tensor([[[0.25, 0.5, 0.25]]], dtype=torch.float64).log().expand(1, 3, 3)
    >>> invert(weights, torch.tensor([[0.2, 0.3, 0.8]], dtype=torch.float64)).tolist()
    [[0, 1, 2]]
    """
    sums = weights.softmax(-1).cumsum(-1)
    total = sums[..., -1]
    target = torch.minimum(where * total, torch.nextafter(total, torch.zeros_like(total)))
    indices = torch.searchsorted(sums, target.unsqueeze(-1), right=True).squeeze(-1)
    return indices.clamp(max=weights.shape[-1] - 1)
