"""What every score is: a match of queries with keys, not yet normalised."""

import abc
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kochi.attention.history import Past
from kochi.attention.products import linear


class AnyScore(nn.Module, abc.ABC):
    """What `Score` and `RecurrentScore` share: the two parts that are computed beforehand.

    What depends on the memory alone is computed once per memory and what depends on the query alone
    once per query: the score itself is asked with ``project_query(query)`` and
    ``project_keys(keys)``.

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


class Score(AnyScore):
    """Match every query with every key by what they contain.

    To write one of your own, subclass, implement ``forward`` and give the object to
    `kochi.attention.build` in place of a name. It must work for any number of heads on axis 1.
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
    """Match queries with keys also by where earlier queries looked.

    Queries are then asked one after the other. The queries of one call stand at the same step (the
    beams of a sentence), each with a past of its own.
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
    """Make one matrix a head, each drawn as Glorot and Bengio (2010) draw a single matrix."""
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
