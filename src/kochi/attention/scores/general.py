"""General (bilinear) score."""

from jaxtyping import Float
from torch import Tensor

from kochi.attention.scores.base import Score, head_linear, head_weight
from kochi.attention.scores.dot import dot_score


def general_score(
    query: Float[Tensor, "batch heads target query_size"],
    keys: Float[Tensor, "batch heads source key_size"],
    weight: Float[Tensor, "weight_heads key_size query_size"],
) -> Float[Tensor, "batch heads target source"]:
    """Compute ``score[t, s] = <weight query[t], key[s]>``.

    Luong, Pham and Manning 2015, section 3.1, "general", where it is written
    ``h_t^T W_a h_s`` (our weight is its transpose); https://arxiv.org/abs/1508.04025

    >>> import torch
    >>> query = torch.tensor([[[[1.0, 2.0]]]])
    >>> keys = torch.tensor([[[[10.0]]]])
    >>> general_score(query, keys, torch.tensor([[[3.0, 4.0]]])).tolist()
    [[[[110.0]]]]
    """
    return dot_score(head_linear(query, weight), keys)


class General(Score):
    """General score: a learned matrix, without bias, between query and key.

    The matrix is applied to the query, so that nothing is computed for the memory.

    Args:
        query_size: Size of a query.
        key_size: Size of a key.
        num_heads: Number of heads; each has its own matrix.
    """

    dot_scale = 1.0

    def __init__(self, query_size: int, key_size: int, num_heads: int = 1) -> None:
        super().__init__()
        self.weight = head_weight(num_heads, key_size, query_size)  # W_a

    def project_query(
        self, query: Float[Tensor, "batch heads target query_size"]
    ) -> Float[Tensor, "batch heads target key_size"]:
        """Project the query to the space of the keys."""
        return head_linear(query, self.weight)

    def forward(
        self,
        query: Float[Tensor, "batch heads target key_size"],
        keys: Float[Tensor, "batch heads source key_size"],
    ) -> Float[Tensor, "batch heads target source"]:
        """See `general_score`; the query is already multiplied by the matrix."""
        return dot_score(query, keys)
