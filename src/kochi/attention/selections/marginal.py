"""Exact marginal: hard attention with the position summed out."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.selections.base import Selection
from kochi.attention.selections.positions import widen
from kochi.attention.selections.soft import masked_softmax


def marginal_log_likelihood(
    alignment: Float[Tensor, "*batch source"], log_likelihoods: Float[Tensor, "*batch source"]
) -> Float[Tensor, "*batch"]:
    """Compute ``log sum over s of alignment[s] * exp(log_likelihood[s])``, in nats.

    Deng et al. 2018; https://arxiv.org/abs/1807.03756. Positions with alignment 0 are ignored,
    whatever their likelihood. A row of zeros (fully masked) gives 0 and no gradient.

    >>> import math, torch
    >>> alignment = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])
    >>> likelihood = torch.tensor([[0.25, 0.75, 0.9]]).log().expand(2, 3)
    >>> marginal_log_likelihood(alignment, likelihood).exp().round(decimals=4).tolist()
    [0.5, 1.0]

    Args:
        alignment: The alignment over positions, from the selection.
        log_likelihoods: For each position, the log-likelihood of the output given that the context
            is the value at that position.

    Returns:
        The log-likelihood of the output with the position summed out.
    """
    alignment, log_likelihoods = widen(alignment), widen(log_likelihoods)
    support = alignment > 0
    joint = torch.where(support, alignment, 1.0).log() + torch.where(support, log_likelihoods, 0.0)
    joint = torch.where(support, joint, torch.finfo(joint.dtype).min)
    return torch.where(support.any(-1), joint.logsumexp(-1), 0.0)


class Marginal(Selection):
    """Hard attention trained exactly: a softmax, and a loss that sums over positions.

    Deng et al. 2018; https://arxiv.org/abs/1807.03756. The alignment is the probability that each
    position is the only one attended to. The decoder therefore does not use the mean of the values:
    it computes the output once for each position, with that value as the context, and trains with
    `marginal_log_likelihood`, which is ``log sum over positions of alignment * p(output | context =
    value)``. If the positions of different steps are independent, the sum over steps is the log of
    the sum over all paths. The cost is one output layer per position. No parameters.
    """

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """See `masked_softmax`."""
        return masked_softmax(scores, visible)
