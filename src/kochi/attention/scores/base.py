"""Base classes of scores, the unnormalised match of queries with keys."""

import abc
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kochi.attention.history import Past
from kochi.products import linear


class AnyScore(nn.Module, abc.ABC):
    """Base class of `Score` and `RecurrentScore`, with the projections of queries and keys.

    Everything that depends only on the memory is computed once per memory by ``project_keys``, and
    everything that depends only on the query once per query by ``project_query``. The score itself
    is called with their results.

    Attributes:
        dot_scale: The factor, if the score of the projected vectors is ``dot_scale * <query, key>``
            (dot-product kernels can then compute it); ``None`` for any other score.
    """

    dot_scale: float | None = None

    def project_query(
        self, query: Float[Tensor, "batch heads target query_size"]
    ) -> Float[Tensor, "batch heads target projected_size"]:
        """Compute what depends only on the query; by default, return the query."""
        return query

    def project_keys(
        self, keys: Float[Tensor, "batch heads source key_size"]
    ) -> Float[Tensor, "batch heads source projected_size"]:
        """Compute what depends only on the memory; by default, return the keys."""
        return keys


class Score(AnyScore):
    """Match every query with every key by their content.

    To write your own, subclass, implement ``forward`` and pass an instance to
    `kochi.attention.build` in place of a name. It must support any number of heads on axis 1.
    """

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


class RecurrentScore(AnyScore):
    """Match queries with keys, also by the alignments of earlier queries.

    Queries are then processed one after the other. The queries of one call are at the same step
    (the beams of a sentence), each with its own past.
    """

    @abc.abstractmethod
    def forward(
        self,
        query: Float[Tensor, "batch heads target projected_size"],
        keys: Float[Tensor, "batch heads source projected_size"],
        past: Past | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """Score projected queries against projected keys; ``past`` is None at the first step."""

    if TYPE_CHECKING:

        def __call__(self, query: Tensor, keys: Tensor, past: Past | None) -> Tensor:
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
    """Create one matrix per head, each initialised after Glorot and Bengio (2010)."""
    bound = (6.0 / (input_size + output_size)) ** 0.5
    return nn.Parameter(torch.empty(num_heads, output_size, input_size).uniform_(-bound, bound))


def head_linear(
    vectors: Float[Tensor, "batch heads length input_size"],
    weight: Float[Tensor, "weight_heads output_size input_size"],
) -> Float[Tensor, "batch heads length output_size"]:
    """Multiply the vectors of each head by that head's matrix."""
    if weight.shape[0] == 1:
        return linear(vectors, weight.squeeze(0))
    return torch.einsum("bhli,hoi->bhlo", vectors, weight)
