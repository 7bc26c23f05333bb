"""Top-k selection: a softmax over the k best positions."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.options import check_count
from kochi.attention.selections.base import Selection
from kochi.attention.selections.positions import some_visible
from kochi.attention.selections.soft import masked_softmax


def best_positions(
    scores: Float[Tensor, "*batch source"],
    visible: Bool[Tensor, "*#batch #source"] | None,
    k: int,
) -> Bool[Tensor, "*batch source"]:
    """Return True at the k highest visible scores; ties go to the first.

    >>> import torch
    >>> scores = torch.tensor([2.0, 1.0, 1.0, 1.0, 9.0])
    >>> best_positions(scores, torch.tensor([True, True, True, True, False]), 3).tolist()
    [True, True, True, False, False]
    """
    mask = some_visible(scores, visible)
    if k >= scores.shape[-1]:
        return mask
    scores = scores.detach().masked_fill(~mask, -torch.inf)
    last = scores.topk(k, sorted=False).values.amin(-1, keepdim=True)
    above, level = scores > last, scores == last
    room = k - above.sum(-1, keepdim=True)
    return mask & (above | (level & (level.cumsum(-1) <= room)))


class TopK(Selection):
    """Attend to the k best visible positions by the softmax over them; no parameters.

    Zhao et al. 2019, "Explicit Sparse Transformer", section 3; https://arxiv.org/abs/1912.11637.
    The paper keeps all positions with the same score as the k-th; here ties go to the first, so
    that there are never more than k.

    Args:
        k: Number of positions; a row with fewer visible ones keeps them all.

    Raises:
        ValueError: k is below 1.
    """

    def __init__(self, *, k: int = 8) -> None:
        super().__init__()
        check_count("k", k)
        self.k = k

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """See `best_positions` and `masked_softmax`."""
        return masked_softmax(scores, best_positions(scores, visible, self.k))
