"""What every score is: a match of queries with keys, not yet normalised."""

import abc
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Score(nn.Module, abc.ABC):
    """Match every query with every key.

    A score is asked in two parts, so that what depends on the memory alone is computed once per
    memory and what depends on the query alone once per query: the kernels call
    ``score(score.project_query(query), score.project_keys(keys))``.

    To write one of your own, subclass, implement ``forward`` and give the object to
    `kochi.attention.build` in place of a name. It must work for any number of heads on axis 1.

    Attributes:
        dot_scale: If the score of the projected parts is ``dot_scale * <query, key>``, that factor
            (dot-product kernels may then serve it); ``None`` for any other score.
    """

    dot_scale: float | None = None

    def project_query(
        self, query: Float[Tensor, "batch heads target query_size"]
    ) -> Float[Tensor, "batch heads target projected_size"]:
        """Compute what depends on the query alone; the query itself by default."""
        return query

    def project_keys(
        self, keys: Float[Tensor, "batch heads source key_size"]
    ) -> Float[Tensor, "batch heads source projected_size"]:
        """Compute what depends on the memory alone; the keys themselves by default."""
        return keys

    @abc.abstractmethod
    def forward(
        self,
        query: Float[Tensor, "batch heads target projected_size"],
        keys: Float[Tensor, "batch heads source projected_size"],
    ) -> Float[Tensor, "batch heads target source"]:
        """Score projected queries against projected keys."""

    if TYPE_CHECKING:

        def __call__(self, query: Tensor, keys: Tensor) -> Tensor:
            """Type a call as `forward`."""
            ...


def check_same_size(name: str, query_size: int, key_size: int) -> None:
    """Refuse a dot product of vectors with different sizes."""
    if query_size != key_size:
        raise ValueError(
            f"score: {name!r} needs query_size == memory_size, got query_size={query_size} and "
            f"memory_size={key_size}; use 'general' (a learned matrix between them) or 'additive'"
        )


def head_weight(num_heads: int, output_size: int, input_size: int) -> nn.Parameter:
    """Make one matrix a head, each drawn as Glorot and Bengio (2010) draw a single matrix."""
    bound = (6.0 / (input_size + output_size)) ** 0.5
    return nn.Parameter(torch.empty(num_heads, output_size, input_size).uniform_(-bound, bound))


def head_linear(
    vectors: Float[Tensor, "batch heads length input_size"],
    weight: Float[Tensor, "weight_heads output_size input_size"],
) -> Float[Tensor, "batch heads length output_size"]:
    """Multiply the vectors of each head by that head's matrix."""
    if weight.shape[0] == 1:
        return F.linear(vectors, weight.squeeze(0))
    return torch.einsum("bhli,hoi->bhlo", vectors, weight)
