"""A penalty that encourages attending to every position of the memory about once.

Xu et al. 2015, "Show, attend and tell", section 4.2.1, equation 14,
https://arxiv.org/abs/1502.03044.
"""

from jaxtyping import Bool, Float
from torch import Tensor


def doubly_stochastic_penalty(
    alignment: Float[Tensor, "batch target source"],
    mask: Bool[Tensor, "batch target"],
    source_mask: Bool[Tensor, "batch source"],
) -> Float[Tensor, " batch"]:
    """Return the sum over positions i of ``(1 - sum over t of alignment[t, i]) ** 2``, per row.

    Args:
        alignment: The alignment of each target position.
        mask: True at target positions that count.
        source_mask: True at source positions, False at padding.

    >>> import torch
    >>> alignment, both = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]]), torch.tensor([[True, True]])
    >>> doubly_stochastic_penalty(alignment, both, both)  # (1 - 1.5) ** 2 + (1 - 0.5) ** 2
    tensor([0.5000])
    """
    looked = (alignment * mask.unsqueeze(-1)).sum(1)
    return ((1.0 - looked).square() * source_mask).sum(1)
