"""Location score, which depends only on the query and the position of the key."""

from jaxtyping import Float
from torch import Tensor

from kochi.attention.options import check_count
from kochi.attention.scores.base import Score, head_linear, head_weight


def location_score(
    query: Float[Tensor, "batch heads target query_size"],
    weight: Float[Tensor, "weight_heads source query_size"],
) -> Float[Tensor, "batch heads target source"]:
    """Compute ``score[t, s] = <weight[s], query[t]>``, which ignores the content of key s.

    Luong, Pham and Manning 2015, section 3.1, equation 8; https://arxiv.org/abs/1508.04025

    Args:
        query: The queries.
        weight: One row for each position of the memory.

    >>> import torch
    >>> query = torch.tensor([[[[1.0, 2.0]]]])
    >>> location_score(query, torch.tensor([[[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]]])).tolist()
    [[[[1.0, 2.0, 11.0]]]]
    """
    return head_linear(query, weight)


class Location(Score):
    """Location score: a learned row for each position of the memory.

    Positions are indices into the tensor, so the memory must not be padded on the left.

    Args:
        query_size: Size of a query.
        num_heads: Number of heads; each has its own rows.
        max_length: Length of the longest memory, which is the number of rows.

    Raises:
        ValueError: ``max_length`` is below 1.
    """

    def __init__(self, query_size: int, num_heads: int = 1, *, max_length: int = 256) -> None:
        super().__init__()
        check_count("max_length", max_length)
        self.max_length = max_length
        self.weight = head_weight(num_heads, max_length, query_size)  # W_a

    def forward(
        self,
        query: Float[Tensor, "batch heads target query_size"],
        keys: Float[Tensor, "batch heads source key_size"],
    ) -> Float[Tensor, "batch heads target source"]:
        """See `location_score`; only the number of keys is used.

        Raises:
            ValueError: The memory is longer than ``max_length``.
        """
        length = keys.shape[2]
        if length > self.max_length:
            raise ValueError(
                f"score 'location': the memory has {length} positions, but there are learned rows "
                f"for max_length={self.max_length} only; build it with a larger max_length, or "
                "use a score that depends on the keys"
            )
        return location_score(query, self.weight[:, :length])
