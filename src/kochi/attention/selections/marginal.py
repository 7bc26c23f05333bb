"""Exact marginal: hard attention with the choice summed out."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.selections.base import Selection
from kochi.attention.selections.places import widen
from kochi.attention.selections.soft import masked_softmax


def marginal_log_likelihood(
    alignment: Float[Tensor, "*batch source"], log_likelihoods: Float[Tensor, "*batch source"]
) -> Float[Tensor, "*batch"]:
    """Compute ``log sum over s of alignment[s] * exp(log_likelihood[s])``, in nats.

    Deng et al. 2018; https://arxiv.org/abs/1807.03756. Places of alignment 0
    take no part, whatever their likelihood. A row of zeros, where nothing may be seen, gives 0 and
    no gradient.

    >>> import math, torch
    >>> alignment = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])
    >>> likelihood = torch.tensor([[0.25, 0.75, 0.9]]).log().expand(2, 3)
    >>> marginal_log_likelihood(alignment, likelihood).exp().round(decimals=4).tolist()
    [0.5, 1.0]

    Args:
        alignment: From the selection, over the places.
        log_likelihoods: Of the output if the context were the value of that place alone.

    Returns:
        The log-likelihood of the output with the place summed out.
    """
    alignment, log_likelihoods = widen(alignment), widen(log_likelihoods)
    seen = alignment > 0
    joint = torch.where(seen, alignment, 1.0).log() + torch.where(seen, log_likelihoods, 0.0)
    joint = torch.where(seen, joint, torch.finfo(joint.dtype).min)
    return torch.where(seen.any(-1), joint.logsumexp(-1), 0.0)


class Marginal(Selection):
    """Hard attention that a decoder trains exactly: the softmax, and a loss that sums over places.

    Deng et al. 2018; https://arxiv.org/abs/1807.03756. The alignment is the probability
    of each place to be the only one looked at. So a decoder does not read the mean of the values:
    it computes the output once for each place, as if the context were that value, and trains with
    `marginal_log_likelihood`, which is
    ``log sum over places of alignment * p(output | context = value)``. If the places of different
    steps do not depend on each other, the sum of these over the steps is the log of the sum over
    all paths. It costs the output layer once a place. No parameters.
    """

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """See `masked_softmax`."""
        return masked_softmax(scores, visible)
