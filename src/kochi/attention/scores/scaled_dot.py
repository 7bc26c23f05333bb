"""Scaled dot-product score."""

from jaxtyping import Float
from torch import Tensor

from kochi.attention.scores.base import Score, check_same_size


def scaled_dot_score(
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
) -> Float[Tensor, "batch heads target source"]:
    """Compute ``score[t, s] = <query[t], key[s]> / sqrt(size)``.

    Vaswani et al. 2017, section 3.2.1, equation 1; https://arxiv.org/abs/1706.03762

    >>> import torch
    >>> query = torch.tensor([[[[1.0, 1.0, 1.0, 1.0]]]])
    >>> keys = torch.tensor([[[[2.0, 4.0, 0.0, 0.0]]]])
    >>> scaled_dot_score(query, keys).tolist()
    [[[[3.0]]]]
    """
    return (query * query.shape[-1] ** -0.5) @ keys.transpose(-1, -2)


class ScaledDot(Score):
    """Scaled dot-product score; no parameters.

    Args:
        query_size: Size of a query.
        key_size: Size of a key; must equal ``query_size``.

    Raises:
        ValueError: The sizes differ.
    """

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()
        check_same_size("scaled_dot", query_size, key_size)
        self.dot_scale = query_size**-0.5

    def forward(
        self,
        query: Float[Tensor, "batch heads target size"],
        keys: Float[Tensor, "batch heads source size"],
    ) -> Float[Tensor, "batch heads target source"]:
        """See `scaled_dot_score`."""
        return scaled_dot_score(query, keys)
