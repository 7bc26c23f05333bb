"""T5's relative positions: a learned bias for every range of distances."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kochi.attention.options import check_count
from kochi.attention.positions import Positions
from kochi.attention.relative.base import Relative

MOST_BUCKETS, FARTHEST = 1_000, 100_000  # bounds on the search for the ranges


def first_distances(num_buckets: int, max_distance: int) -> list[int]:
    """Return the smallest distance of each bucket after the first, for distances on one side.

    The first half of the buckets contain one distance each. The ranges of the others grow: the k-th
    of them starts at ``half * (max_distance / half) ** (k / rest)``. Computed with integers, since
    floating point can shift the start of a range by one.

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

    Raffel et al. 2020 (T5), section 2.1; the exact ranges are those of the authors' code
    (``relative_position_bucket`` of mesh_tensorflow); https://arxiv.org/abs/1910.10683

    Args:
        distances: Position of the key minus position of the query.
        firsts: From `first_distances`.
        bidirectional: Use separate buckets for keys after the query; otherwise they share the first
            bucket.

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
    """Learned bias for each head and range of distances, added to the score.

    The paper adds it to dot products; here it can be added to any score. It is not multiplied by
    the factor of a dot product. It is initialised with 0. The paper shares the biases among all
    layers; here each attention has its own.

    Args:
        num_heads: Number of heads.
        num_buckets: Number of ranges; 32 as in the paper.
        max_distance: Keys at this distance or farther share one range; 128 as in the paper.
        bidirectional: Distinguish keys before and after the query, with half of the buckets each.
            If false, keys after the query count as distance 0, as is usual for causal attention.

    Raises:
        ValueError: An option is out of range.
    """

    needs_dot_product = False

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
                f"num_buckets: got {num_buckets}, expected an even number with bidirectional"
            )
        one_side = num_buckets // 2 if bidirectional else num_buckets
        check_count("max_distance", max_distance, lowest=one_side // 2 + 1)
        if max_distance > FARTHEST:
            raise ValueError(f"max_distance: got {max_distance}, expected at most {FARTHEST}")
        self.bidirectional = bidirectional
        self.bias = nn.Parameter(torch.zeros(num_buckets, num_heads))
        # Not a buffer: what is not in the state dict is lost when a module leaves the meta device.
        self.firsts = first_distances(one_side, max_distance)

    def forward(
        self, query: Float[Tensor, "batch heads target query_size"], positions: Positions
    ) -> Float[Tensor, "#batch heads target source"]:
        """See `t5_buckets`."""
        firsts = torch.tensor(self.firsts, device=query.device)
        buckets = t5_buckets(positions.distances(), firsts, self.bidirectional)
        bias = self.bias[buckets].movedim(-1, -3)
        return bias if bias.dim() == 4 else bias.unsqueeze(0)
