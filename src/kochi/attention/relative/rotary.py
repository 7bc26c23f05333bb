"""Rotary positions: queries and keys are rotated by angles proportional to their position."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kochi.attention.options import check_positive

BASE = 10000.0


def rotate(
    vectors: Float[Tensor, "batch heads length size"],
    positions: Int[Tensor, " length"] | Int[Tensor, "batch length"],
    base: float = BASE,
) -> Float[Tensor, "batch heads length size"]:
    """Rotate the i-th pair of coordinates by ``position * base ** (-2 i / size)`` radians.

    The dot product of a rotated query and a rotated key then depends on their positions only
    through the difference. Su et al. 2021 (RoFormer), section 3.2.2, equations 14, 15 and 34;
    https://arxiv.org/abs/2104.09864. The pairs are (i, i + size / 2), not (2 i, 2 i + 1) as in the
    paper: this is equivalent up to a permutation of the projections' outputs, and faster.

    Args:
        vectors: Queries or keys inside heads; their size is even.
        positions: Their positions.
        base: The lowest frequency is about the reciprocal of the base.

    >>> east = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
    >>> rotate(east, torch.tensor([0, 1]))
    tensor([[[[1.0000, 0.0000],
              [0.5403, 0.8415]]]])
    """
    size = vectors.shape[-1]
    # In float64: lower precision cannot resolve the angles of large positions.
    exponents = torch.arange(0, size, 2, device=vectors.device, dtype=torch.float64) / -size
    angles = positions.unsqueeze(-1) * base**exponents
    if angles.dim() == 3:
        angles = angles.unsqueeze(1)
    cos, sin = angles.cos().to(vectors.dtype), angles.sin().to(vectors.dtype)
    first, second = vectors.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class Rotary(nn.Module):
    """Rotate queries and keys by their positions; see `rotate`. No parameters.

    Args:
        key_size: Size of queries and keys inside a head.
        base: The lowest frequency is about the reciprocal of the base; 10000 as in the paper.

    Raises:
        ValueError: ``key_size`` is odd, or ``base`` is not above 0.
    """

    def __init__(self, key_size: int, *, base: float = BASE) -> None:
        super().__init__()
        check_positive("base", base)
        if key_size % 2:
            raise ValueError(f"rotary: the head size must be even, got {key_size}")
        self.base = base

    def forward(
        self,
        vectors: Float[Tensor, "batch heads length size"],
        positions: Int[Tensor, " length"] | Int[Tensor, "batch length"],
    ) -> Float[Tensor, "batch heads length size"]:
        """See `rotate`."""
        return rotate(vectors, positions, self.base)
