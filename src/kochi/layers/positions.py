"""Absolute positions, which are added to embeddings: sinusoidal and learned.

Vaswani et al. 2017, "Attention is all you need", section 3.5, https://arxiv.org/abs/1706.03762.
Rotary positions are applied inside attention: see ``kochi.attention.relative.rotary``.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from kochi.layers.initial import is_outlined, normal
from kochi.tables import TextPositions


def sinusoidal(length: int, size: int) -> Float[Tensor, "length size"]:
    """Return the sinusoidal table.

    table[p, 2i] = sin(p / 10000^(2i/size)), table[p, 2i+1] = cos(p / 10000^(2i/size)).

    Args:
        length: Number of positions, from 0.
        size: Width of an embedding; must be even.

    Raises:
        ValueError: ``size`` is odd.

    >>> sinusoidal(2, 2)
    tensor([[0.0000, 1.0000],
            [0.8415, 0.5403]])
    """
    if size % 2:
        raise ValueError(f"size must be even for sinusoidal positions, got {size}")
    if is_outlined():
        return torch.empty(length, size)
    rates = torch.exp(torch.arange(0, size, 2) * (-math.log(10000.0) / size))
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class SinusoidalPositions(nn.Module):
    """Add the sinusoidal table, which grows for longer sequences."""

    table: Tensor

    def __init__(self, size: int, max_positions: int = 1024) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("table", sinusoidal(max_positions, size), persistent=False)

    @override
    def forward(
        self, x: Float[Tensor, "batch length size"], start: int = 0
    ) -> Float[Tensor, "batch length size"]:
        end = start + x.shape[1]
        if end > self.table.shape[0]:
            self.table = sinusoidal(2 * end, self.size).to(self.table)
        return x + self.table[start:end].to(x.dtype)


class LearnedPositions(nn.Module):
    """Add a learned vector for each position; a longer sequence is refused."""

    def __init__(self, size: int, max_positions: int = 1024) -> None:
        super().__init__()
        self.table = nn.Parameter(normal(max_positions, size, deviation=size**-0.5))

    @override
    def forward(
        self, x: Float[Tensor, "batch length size"], start: int = 0
    ) -> Float[Tensor, "batch length size"]:
        end = start + x.shape[1]
        if end > self.table.shape[0]:
            raise ValueError(
                f"a sequence of {end} tokens is longer than max_positions={self.table.shape[0]}; "
                "train with a larger max_positions or with sinusoidal or rotary positions"
            )
        return x + self.table[start:end]


def positions_of(kind: TextPositions, size: int, most: int) -> nn.Module | None:
    """Build the module that adds positions; None for rotary positions."""
    if kind == "rotary":
        return None
    return SinusoidalPositions(size, most) if kind == "sinusoidal" else LearnedPositions(size, most)
