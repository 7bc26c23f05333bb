"""Shaw's relative positions: a learned vector for every distance."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kochi.attention.options import check_count
from kochi.attention.positions import Positions
from kochi.attention.relative.base import Relative


def shaw_term(
    query: Float[Tensor, "batch heads target size"],
    vectors: Float[Tensor, "distances size"],
    distances: Int[Tensor, "target source"] | Int[Tensor, "batch target source"],
) -> Float[Tensor, "batch heads target source"]:
    """Compute ``term[t, s] = <query[t], vectors[clip(distance[t, s], -k, k) + k]>``.

    Shaw, Uszkoreit and Vaswani 2018, section 3.2 (the clipped distance) and equation 5, second
    summand; https://arxiv.org/abs/1803.02155. The product with each vector is computed once per
    query, whatever the length of the memory. Only the key vectors a^K are used, not the value
    vectors a^V.

    Args:
        query: The queries.
        vectors: One vector for each distance from -k to k.
        distances: Position of the key minus position of the query.

    >>> query = torch.tensor([[[[10.0]]]])
    >>> vectors = torch.tensor([[1.0], [2.0], [3.0]])
    >>> shaw_term(query, vectors, torch.tensor([[-2, -1, 0, 1, 2]])).tolist()
    [[[[10.0, 10.0, 20.0, 30.0, 30.0]]]]
    """
    reach = vectors.shape[0] // 2
    index = distances.clamp(-reach, reach) + reach
    by_distance = query @ vectors.T
    return by_distance.gather(-1, index.unsqueeze(-3).expand(*query.shape[:3], -1))


class Shaw(Relative):
    """Learned vectors for clipped distances, shared by all heads (section 3.3).

    The paper's base model has separate vectors for each head; the big model shares them (section
    4.1).

    Args:
        key_size: Size of a projected key and query.
        dot_scale: Factor of the score's dot product, which also applies to this term.
        max_distance: Maximum distance k; longer distances are clipped to it. 16 as in the paper's
            base model.

    Raises:
        ValueError: ``max_distance`` is below 1.
    """

    def __init__(self, key_size: int, dot_scale: float, *, max_distance: int = 16) -> None:
        super().__init__()
        check_count("max_distance", max_distance)
        self.dot_scale = dot_scale
        self.vectors = nn.Parameter(torch.empty(2 * max_distance + 1, key_size))  # w^K
        nn.init.xavier_uniform_(self.vectors)

    def forward(
        self, query: Float[Tensor, "batch heads target query_size"], positions: Positions
    ) -> Float[Tensor, "batch heads target source"]:
        """See `shaw_term`."""
        return shaw_term(query * self.dot_scale, self.vectors, positions.distances())
