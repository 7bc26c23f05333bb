"""Positions in two directions, added to the cells of a grid."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from kochi.layers.positions import sinusoidal


class GridPositions(nn.Module):
    """Add sinusoids of the row to the first half of a cell's vector, of the column to the second.

    Parmar et al. 2018, "Image Transformer", section 3.1, https://arxiv.org/abs/1802.05751. The
    table grows for larger grids.

    Args:
        size: Width of a cell's vector; a multiple of 4.
        longest: Initial number of rows or columns of the table.

    Raises:
        ValueError: ``size`` is not a multiple of 4.
    """

    table: Tensor

    def __init__(self, size: int, longest: int = 64) -> None:
        super().__init__()
        if size % 4:
            raise ValueError(f"sinusoidal positions of a grid need a multiple of 4, got {size}")
        self.half_size = size // 2
        self.register_buffer("table", sinusoidal(longest, self.half_size), persistent=False)

    @override
    def forward(
        self, x: Float[Tensor, "batch rows columns size"]
    ) -> Float[Tensor, "batch rows columns size"]:
        rows, columns = x.shape[1:3]
        if max(rows, columns) > len(self.table):
            self.table = sinusoidal(2 * max(rows, columns), self.half_size).to(self.table)
        table = self.table.to(x.dtype)
        of_row = table[:rows, None].expand(-1, columns, -1)
        of_column = table[None, :columns].expand(rows, -1, -1)
        return x + torch.cat([of_row, of_column], dim=-1)
