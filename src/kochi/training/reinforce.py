"""The Monte-Carlo gradient of hard attention (REINFORCE)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi import config
from kochi.decoders.output import Samples


def reinforce(
    samples: Samples,
    nll: Float[Tensor, "batch target"],
    mask: Bool[Tensor, "batch target"],
    baseline: Float[Tensor, ""],
    options: config.Reinforce,
) -> Float[Tensor, ""]:
    """Return a loss term whose gradient is the Monte-Carlo gradient of the sampled positions.

    Xu et al. 2015, "Show, attend and tell", section 4.1, equations 9 to 12,
    https://arxiv.org/abs/1502.03044: log p(y | s) of the output minus a baseline multiplies
    the gradient of log p(s), and the entropy of the samples is added, each with its own weight. Two
    differences reduce the variance and keep the expectation: a sample is credited only with the
    tokens from its own step on, and the baseline is per token, times the number of these tokens.

    Args:
        samples: The sampled positions.
        nll: Negative log-likelihood of each target token, in nats.
        mask: True where there is a token.
        baseline: Expected log-likelihood per token, in nats.
        options: The weights.
    """
    counts = mask.to(nll.dtype)
    reward = _sum_from(-nll.detach() * counts)
    advantage = reward - baseline * _sum_from(counts)
    gained = options.weight * advantage * samples.log_probability
    return -((gained + options.entropy_weight * samples.entropy) * counts).sum()


def next_baseline(
    baseline: Float[Tensor, ""],
    nll: Float[Tensor, "batch target"],
    mask: Bool[Tensor, "batch target"],
    decay: float,
) -> Float[Tensor, ""]:
    """Return the moving average updated with this batch's mean; it is NaN before the first batch.

    >>> mask = torch.tensor([[True, False]])
    >>> first = next_baseline(torch.tensor(torch.nan), torch.tensor([[3.0, 9.0]]), mask, 0.9)
    >>> first.item(), round(next_baseline(first, torch.tensor([[2.0, 9.0]]), mask, 0.9).item(), 4)
    (-3.0, -2.9)
    """
    mean = -(nll.detach() * mask).sum() / mask.sum().clamp(min=1)
    mean = mean.to(baseline.dtype)
    return torch.where(baseline.isnan(), mean, decay * baseline + (1.0 - decay) * mean)


def _sum_from(values: Float[Tensor, "batch target"]) -> Float[Tensor, "batch target"]:
    """Return, for each position, the sum over it and all later ones."""
    return values.flip(1).cumsum(1).flip(1)
