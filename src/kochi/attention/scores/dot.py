"""Dot-product score."""

from jaxtyping import Float
from torch import Tensor

from kochi.attention.scores.base import Score, check_same_size


def dot_score(
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
) -> Float[Tensor, "batch heads target source"]:
    """Compute ``score[t, s] = <query[t], key[s]>``.

    Luong, Pham and Manning 2015, section 3.1, "dot"; https://arxiv.org/abs/1508.04025

    >>> import torch
    >>> query = torch.tensor([[[[1.0, 2.0]]]])
    >>> keys = torch.tensor([[[[3.0, 4.0], [0.0, 1.0]]]])
    >>> dot_score(query, keys).tolist()
    [[[[11.0, 2.0]]]]
    """
    return query @ keys.transpose(-1, -2)


class Dot(Score):
    """Dot-product score; no parameters.

    Args:
        query_size: Size of a query.
        key_size: Size of a key; must equal ``query_size``.

    Raises:
        ValueError: The sizes differ.
    """

    dot_scale = 1.0

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()
        check_same_size("dot", query_size, key_size)

    def forward(
        self,
        query: Float[Tensor, "batch heads target size"],
        keys: Float[Tensor, "batch heads source size"],
    ) -> Float[Tensor, "batch heads target source"]:
        """See `dot_score`."""
        return dot_score(query, keys)
