"""T5's relative positions: a learned number for every range of distances."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kochi.attention.options import check_count
from kochi.attention.positions import Positions
from kochi.attention.relative.base import Relative

MOST_BUCKETS, FARTHEST = 1_000, 100_000  # the search for the ranges takes this long


def first_distances(num_buckets: int, max_distance: int) -> list[int]:
    """Return the smallest distance of each bucket after the first, for distances to one side.

    The first half of the buckets holds one distance each; the ranges of the others grow, the
    k-th of them starting at ``half * (max_distance / half) ** (k / rest)``. Counted in whole
    numbers: in floating point the start of a range can slip by one.

    >>> first_distances(num_buckets=8, max_distance=64)  # 4, 4 * 2, 4 * 4, 4 * 8
    [1, 2, 3, 4, 8, 16, 32]
    """
    half = num_buckets // 2
    rest = num_buckets - half
    firsts, distance = list(range(1, half + 1)), half
    for k in range(1, rest):
        while distance**rest < half ** (rest - k) * max_distance**k:
            distance += 1
        firsts.append(distance)
    return firsts


def t5_buckets(
    distances: Int[Tensor, "*shape"], firsts: Int[Tensor, " one_side"], bidirectional: bool
) -> Int[Tensor, "*shape"]:
    """Return the bucket of each distance.

    Raffel et al. 2020 (T5), section 2.1, which gives the idea; the ranges are those of the authors'
    code (``relative_position_bucket`` of mesh_tensorflow); https://arxiv.org/abs/1910.10683

    Args:
        distances: Position of the key minus position of the query.
        firsts: From `first_distances`.
        bidirectional: Keys after the query get buckets of their own; else they share the first.

    >>> firsts = torch.tensor(first_distances(8, 64))
    >>> t5_buckets(torch.tensor([-50, -9, -2, 0, 2, 9]), firsts, bidirectional=False).tolist()
    [7, 5, 2, 0, 0, 0]
    >>> t5_buckets(torch.tensor([-50, -9, -2, 0, 2, 9]), firsts, bidirectional=True).tolist()
    [7, 5, 2, 0, 10, 13]
    """
    if not bidirectional:
        return torch.bucketize(-distances, firsts, right=True)
    buckets = torch.bucketize(distances.abs(), firsts, right=True)
    return buckets + (distances > 0) * (firsts.shape[0] + 1)


class T5(Relative):
    """One learned number for each head and range of distances, which is added to the score.

    The paper adds it to the logits of dot products; here any score takes it. It is not multiplied
    by the factor of a dot product. It starts at zero: all distances alike.
    The paper shares the numbers among all layers; here each attention has its own.

    Args:
        num_heads: Number of heads.
        num_buckets: Number of ranges; 32 as in the paper.
        max_distance: All keys that are this far or farther share a range; 128 as in the paper.
        bidirectional: Tell keys before the query from keys after it, with half the buckets each.
            Without, keys after the query count as distance 0: for causal attention.

    Raises:
        ValueError: An option is out of range.
    """

    needs_dot_product = False
    firsts: Tensor

    def __init__(
        self,
        num_heads: int,
        *,
        num_buckets: int = 32,
        max_distance: int = 128,
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        check_count("num_buckets", num_buckets, lowest=4 if bidirectional else 2)
        if num_buckets > MOST_BUCKETS:
            raise ValueError(f"num_buckets: got {num_buckets}, expected at most {MOST_BUCKETS}")
        if bidirectional and num_buckets % 2:
            raise ValueError(
                f"num_buckets: got {num_buckets}, expected an even number for two sides "
                "(bidirectional)"
            )
        one_side = num_buckets // 2 if bidirectional else num_buckets
        check_count("max_distance", max_distance, lowest=one_side // 2 + 1)
        if max_distance > FARTHEST:
            raise ValueError(f"max_distance: got {max_distance}, expected at most {FARTHEST}")
        self.bidirectional = bidirectional
        self.bias = nn.Parameter(torch.zeros(num_buckets, num_heads))
        firsts = torch.tensor(first_distances(one_side, max_distance))
        self.register_buffer("firsts", firsts, persistent=False)

    def forward(
        self, query: Float[Tensor, "batch heads target query_size"], positions: Positions
    ) -> Float[Tensor, "#batch heads target source"]:
        """See `t5_buckets`."""
        buckets = t5_buckets(positions.distances(), self.firsts, self.bidirectional)
        bias = self.bias[buckets].movedim(-1, -3)
        return bias if bias.dim() == 4 else bias.unsqueeze(0)
