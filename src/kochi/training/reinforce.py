"""The Monte-Carlo gradient of hard attention (REINFORCE)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi import config
from kochi.decoders.written import Looks


def reinforce(
    looks: Looks,
    nll: Float[Tensor, "batch target"],
    mask: Bool[Tensor, "batch target"],
    baseline: Float[Tensor, ""],
    options: config.Reinforce,
) -> Float[Tensor, ""]:
    """Return a loss term whose gradient is the Monte-Carlo gradient of the sampled positions.

    Xu et al. 2015, "Show, attend and tell", section 4.1, equations 9 to 12,
    https://arxiv.org/abs/1502.03044: log p(y | s) of the output, less a baseline, weighs the
    gradient of log p(s), the entropy of the choice is added, both with weights of their own. Two
    things differ, for less variance and the same expectation: a choice is credited with the tokens
    from its own step on only, and the baseline is kept for a token, times the number of those.

    Args:
        looks: What was drawn.
        nll: Negative log-likelihood of each right token, in nats.
        mask: True where there is a token.
        baseline: Expected log-likelihood of a token, in nats.
        options: The weights.
    """
    counts = mask.to(nll.dtype)
    reward = _from_here_on(-nll.detach() * counts)
    advantage = reward - baseline * _from_here_on(counts)
    gained = options.weight * advantage * looks.log_probability
    return -((gained + options.entropy_weight * looks.entropy) * counts).sum()


def next_baseline(
    baseline: Float[Tensor, ""],
    nll: Float[Tensor, "batch target"],
    mask: Bool[Tensor, "batch target"],
    decay: float,
) -> Float[Tensor, ""]:
    """Return the moving average with this batch's mean; NaN stands for "nothing seen yet".

    >>> mask = torch.tensor([[True, False]])
    >>> first = next_baseline(torch.tensor(torch.nan), torch.tensor([[3.0, 9.0]]), mask, 0.9)
    >>> first.item(), round(next_baseline(first, torch.tensor([[2.0, 9.0]]), mask, 0.9).item(), 4)
    (-3.0, -2.9)
    """
    mean = -(nll.detach() * mask).sum() / mask.sum().clamp(min=1)
    mean = mean.to(baseline.dtype)
    return torch.where(baseline.isnan(), mean, decay * baseline + (1.0 - decay) * mean)


def _from_here_on(values: Float[Tensor, "batch target"]) -> Float[Tensor, "batch target"]:
    """Return the sum of each place and all later ones."""
    return values.flip(1).cumsum(1).flip(1)
