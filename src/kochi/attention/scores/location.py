"""Location score: from the query alone."""

from jaxtyping import Float
from torch import Tensor

from kochi.attention.options import check_count
from kochi.attention.scores.base import Score, head_linear, head_weight


def location_score(
    query: Float[Tensor, "batch heads target query_size"],
    weight: Float[Tensor, "weight_heads source query_size"],
) -> Float[Tensor, "batch heads target source"]:
    """Compute ``score[t, s] = <weight[s], query[t]>``: what stands at place s does not matter.

    Luong, Pham and Manning 2015, section 3.1, equation 8; https://arxiv.org/abs/1508.04025

    Args:
        query: What asks.
        weight: One row for each place of the memory.

    >>> import torch
    >>> query = torch.tensor([[[[1.0, 2.0]]]])
    >>> location_score(query, torch.tensor([[[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]]])).tolist()
    [[[[1.0, 2.0, 11.0]]]]
    """
    return head_linear(query, weight)


class Location(Score):
    """The location score: a learned row for each place, counted from the memory's first.

    The places are those of the tensor: it serves memories that are laid out from their beginning.

    Args:
        query_size: Size of a query.
        num_heads: Each head has rows of its own.
        max_length: Length of the longest memory; there are that many rows.

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
        """See `location_score`; of the keys only the number is looked at.

        Raises:
            ValueError: The memory is longer than ``max_length``.
        """
        length = keys.shape[2]
        if length > self.max_length:
            raise ValueError(
                f"score 'location': the memory has {length} places, but there are learned rows "
                f"for max_length={self.max_length} only; build it with a larger max_length, or "
                "take a score that looks at the keys"
            )
        return location_score(query, self.weight[:, :length])
