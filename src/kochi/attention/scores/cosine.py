"""Cosine score."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kochi.attention.options import check_positive
from kochi.attention.scores.base import Score, check_same_size
from kochi.attention.scores.dot import dot_score

SHORTEST = 1e-6
"""Vectors shorter than this are not scaled to length 1, so that the zero vector stays zero. float16
can represent this number."""


def unit(vectors: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch size"]:
    """Scale vectors to length 1.

    >>> unit(torch.tensor([[30.0, 40.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    # Under autocast the norm, and so the quotient, is in float32.
    return F.normalize(vectors, dim=-1, eps=SHORTEST).to(vectors.dtype)


def cosine_score(
    query: Float[Tensor, "batch heads target size"],
    keys: Float[Tensor, "batch heads source size"],
    scale: Float[Tensor, " heads"],
) -> Float[Tensor, "batch heads target source"]:
    """Compute ``score[t, s] = scale <query[t], key[s]> / (|query[t]| |key[s]|)``.

    Henry et al. 2020 (QKNorm), section 3: one learned factor g for all queries;
    https://arxiv.org/abs/2010.04245. Here each head has its own. Graves, Wayne and Danihelka 2014,
    section 3.3.1, equations 5 and 6, match by content in the same way, but the network emits a
    factor (key strength) with each query; https://arxiv.org/abs/1410.5401

    >>> query = torch.tensor([[[[2.0, 0.0]]]])
    >>> keys = torch.tensor([[[[5.0, 0.0], [0.0, 7.0], [-1.0, 0.0]]]])
    >>> cosine_score(query, keys, torch.tensor([10.0])).tolist()
    [[[[10.0, 0.0, -10.0]]]]
    """
    return dot_score(unit(query) * scale[:, None, None], unit(keys))


class Cosine(Score):
    """Cosine score with a learned factor (an inverse temperature) for each head.

    Queries and keys are normalised when they are projected, so that the score is a dot product.

    Args:
        query_size: Size of a query.
        key_size: Size of a key; must equal ``query_size``.
        num_heads: Number of heads; each has its own factor.
        scale: Initial value of the factors, above 0. QKNorm uses log2(L^2 - L), where 97.5 % of the
            sequences are no longer than L; 10 corresponds to L = 32.

    Raises:
        ValueError: The sizes differ, or ``scale`` is not above 0.
    """

    dot_scale = 1.0

    def __init__(
        self, query_size: int, key_size: int, num_heads: int = 1, *, scale: float = 10.0
    ) -> None:
        super().__init__()
        check_same_size("cosine", query_size, key_size)
        check_positive("scale", scale)
        self.scale = nn.Parameter(torch.full((num_heads,), float(scale)))  # g

    def project_query(
        self, query: Float[Tensor, "batch heads target size"]
    ) -> Float[Tensor, "batch heads target size"]:
        """Normalise the query and multiply it by the factor of its head."""
        return unit(query) * self.scale[:, None, None].to(query.dtype)

    def project_keys(
        self, keys: Float[Tensor, "batch heads source size"]
    ) -> Float[Tensor, "batch heads source size"]:
        """Normalise the keys to length 1."""
        return unit(keys)

    def forward(
        self,
        query: Float[Tensor, "batch heads target size"],
        keys: Float[Tensor, "batch heads source size"],
    ) -> Float[Tensor, "batch heads target source"]:
        """See `cosine_score`; query and keys are already normalised."""
        return dot_score(query, keys)
