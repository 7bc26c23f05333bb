"""Score by distance."""

import torch
from jaxtyping import Float
from torch import Tensor

from kochi.attention import Score


class Distance(Score):
    """The nearer a key, the higher it scores: ``-scale * |query - key| ** 2``.

    Args:
        query_size: Size of a query.
        key_size: Size of a key; the same.
        scale: How much a distance counts; 0.5 makes the alignment that of a mixture of Gaussians of
            width 1.

    Raises:
        ValueError: The sizes differ.
    """

    def __init__(self, query_size: int, key_size: int, *, scale: float = 0.5) -> None:
        super().__init__()
        if query_size != key_size:
            raise ValueError(
                f"score: 'distance' needs queries and keys of one size, got {query_size} and "
                f"{key_size}"
            )
        self.scale = scale

    def forward(
        self,
        query: Float[Tensor, "batch heads target size"],
        keys: Float[Tensor, "batch heads source size"],
    ) -> Float[Tensor, "batch heads target source"]:
        """Score every query against every key."""
        return -self.scale * torch.cdist(query, keys) ** 2
