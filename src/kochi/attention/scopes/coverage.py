"""Coverage scope: a bias by the attention that each position has received so far."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kochi.attention.history import Past
from kochi.attention.scopes.base import RecurrentScope


class Coverage(RecurrentScope):
    """Add a learned weight times the attention that a position has received so far.

    After See, Liu and Manning 2017, section 2.3, equations 10 and 11
    (https://arxiv.org/abs/1704.04368), and Tu et al. 2016, section 3.1
    (https://arxiv.org/abs/1601.04811). They add the coverage inside the tanh of the additive score;
    here the term is linear and outside it, so that it works with any score. A negative weight
    discourages attending to a position again. The weight is initialised with 0, which means no
    coverage.

    Args:
        num_heads: Number of heads; each has its own weight and coverage.

    >>> scope = Coverage()
    >>> _ = torch.nn.init.constant_(scope.weight, -2.0)
    >>> scope(Past(torch.tensor([[[[0.5, 0.5]]]]), torch.tensor([[[[1.5, 0.5]]]]))).tolist()
    [[[[-3.0, -1.0]]]]
    """

    def __init__(self, num_heads: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_heads))  # w_c

    def forward(self, past: Past) -> Float[Tensor, "batch heads target source"]:
        """Return the weighted coverage."""
        return self.weight[:, None, None] * past.accumulated


def coverage_loss(
    alignments: Float[Tensor, "batch heads target source"],
    mask: Bool[Tensor, "batch target"] | None = None,
) -> Float[Tensor, "batch heads"]:
    """Compute ``sum over t and s of min(alignment[t, s], coverage[t, s])``.

    The coverage of a step is the sum of the alignments before it. See, Liu and Manning 2017,
    section 2.3, equations 10 and 12; https://arxiv.org/abs/1704.04368. It is 0 if no position is
    attended to twice, and at most 1 per step.

    Args:
        alignments: Alignments of a whole target, with or without a `Coverage` scope.
        mask: True for the steps that count, False for target padding; ``None`` means all.

    Raises:
        ValueError: The mask has the wrong shape or type.

    >>> alignments = torch.tensor([[[[1.0, 0.0], [0.25, 0.75], [0.5, 0.5]]]])
    >>> coverage_loss(alignments).tolist()  # 0, then 0.25, then 0.5 + 0.5
    [[1.25]]
    """
    if mask is not None:
        steps = [alignments.shape[0], alignments.shape[2]]
        if mask.dtype != torch.bool or list(mask.shape) != steps:
            raise ValueError(
                f"mask: got {mask.dtype} of shape {list(mask.shape)}, expected torch.bool "
                f"[batch, target] = {steps}, True = counts"
            )
        alignments = alignments.masked_fill(~mask[:, None, :, None], 0.0)
    coverage = F.pad(alignments, (0, 0, 1, 0))[:, :, :-1].cumsum(2)
    return torch.minimum(alignments, coverage).sum((2, 3))
