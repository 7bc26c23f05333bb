"""Rotary positions: queries and keys are turned by an angle that grows with their position.

Su et al. 2021, "RoFormer: enhanced Transformer with rotary position embedding", section 3.2.2,
https://arxiv.org/abs/2104.09864. The product of a turned query and a turned key depends on the
distance of their positions alone.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

BASE = 10000.0


def rotate(
    x: Float[Tensor, "batch heads length size"],
    positions: Int[Tensor, " length"],
) -> Float[Tensor, "batch heads length size"]:
    """Turn each pair (x[i], x[i + size / 2]) by the angle position / 10000^(2i / size).

    The paper pairs neighbours; pairing the halves differs only in the order of the features.

    Args:
        x: Queries or keys inside heads.
        positions: Where they stand.

    Raises:
        ValueError: ``size`` is odd.

    >>> rotate(torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([0])).tolist()
    [[[[1.0, 0.0]]]]
    """
    size = x.shape[-1]
    if size % 2:
        raise ValueError(f"rotary positions need an even head size, got {size}")
    rates = BASE ** (torch.arange(0, size, 2, device=x.device, dtype=torch.float64) / -size)
    angles = positions.to(torch.float64)[:, None] * rates
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
