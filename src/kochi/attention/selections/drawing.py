"""Sampling of one position."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.selections.positions import best_position


def gumbel_noise(like: Float[Tensor, "*batch source"]) -> Float[Tensor, "*batch source"]:
    """Draw standard Gumbel noise, ``-log(-log(uniform))``, from torch's global generator."""
    waiting = torch.empty_like(like, requires_grad=False).exponential_()
    return -waiting.clamp_min_(torch.finfo(like.dtype).tiny).log_()


def draw_position(
    scores: Float[Tensor, "*batch source"], visible: Bool[Tensor, "*#batch #source"] | None
) -> Float[Tensor, "*batch source"]:
    """Sample one visible position from the softmax and return it one-hot; constant for autograd.

    The position with the highest ``score + Gumbel noise`` is such a sample: Maddison, Mnih and Teh
    2017; https://arxiv.org/abs/1611.00712. Fully masked rows are all zeros.

    >>> import torch
    >>> draw_position(torch.zeros(1, 3), torch.tensor([[False, True, False]])).tolist()
    [[0.0, 1.0, 0.0]]
    """
    scores = scores.detach()
    return best_position(scores + gumbel_noise(scores), visible)
