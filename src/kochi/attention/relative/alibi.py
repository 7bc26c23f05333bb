"""ALiBi: attention with linear biases."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kochi.attention.positions import Positions
from kochi.attention.relative.base import Relative


def alibi_slopes(num_heads: int) -> list[float]:
    """Return the slope of each head: ``2 ** (-8 i / n)`` for head i = 1 to n.

    Press, Smith and Lewis 2022, section 3; https://arxiv.org/abs/2108.12409. This holds if n is a
    power of two. Otherwise, as in the authors' code, the slopes are those of the next lower power,
    followed by every second slope of the next higher one.

    >>> alibi_slopes(4), alibi_slopes(3)
    ([0.25, 0.0625, 0.015625, 0.00390625], [0.0625, 0.00390625, 0.25])
    """
    lower = 2 ** int(math.log2(num_heads))
    slopes = [2.0 ** (-8.0 * i / lower) for i in range(1, lower + 1)]
    missing = num_heads - lower
    return slopes + [2.0 ** (-4.0 * i / lower) for i in range(1, 2 * missing, 2)]


def alibi_term(
    slopes: Float[Tensor, " heads"],
    distances: Int[Tensor, "target source"] | Int[Tensor, "batch target source"],
) -> Float[Tensor, "#batch heads target source"]:
    """Compute ``term[t, s] = -slope * |distance[t, s]|``.

    The paper's attention is causal and has no keys after the query; here they are treated like
    those before it.

    Args:
        slopes: One slope per head.
        distances: Position of the key minus position of the query.

    >>> alibi_term(torch.tensor([0.5]), torch.tensor([[-2, -1, 0, 1]])).tolist()
    [[[[-1.0, -0.5, -0.0, -0.5]]]]
    """
    far = distances.abs().unsqueeze(-3)
    term = -slopes[:, None, None] * far
    return term if term.dim() == 4 else term.unsqueeze(0)


class Alibi(Relative):
    """Linear penalty on the distance, with a fixed slope for each head; no parameters.

    The paper adds it to the dot product of query and key; here it can be added to any score.

    Args:
        num_heads: Number of heads.
    """

    needs_dot_product = False

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        # Not a buffer: what is not in the state dict is lost when a module leaves the meta device.
        self.slopes = alibi_slopes(num_heads)

    def forward(
        self, query: Float[Tensor, "batch heads target query_size"], positions: Positions
    ) -> Float[Tensor, "#batch heads target source"]:
        """See `alibi_term`; computed in float32, since 16 bits cannot resolve long distances."""
        wide = torch.promote_types(query.dtype, torch.float32)
        slopes = torch.tensor(self.slopes, dtype=wide, device=query.device)
        return alibi_term(slopes, positions.distances()).to(query.dtype)
