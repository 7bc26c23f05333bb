"""Patches of a picture and a Transformer's encoder.

Dosovitskiy et al. 2021, "An image is worth 16x16 words", section 3.1,
https://arxiv.org/abs/2010.11929. There is no class token: the summary is the mean of the places.
"""

from collections.abc import Sequence

from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override

from kochi.encoders.encoder import mean_over_places
from kochi.encoders.picture import PictureEncoder, quiet, rows_of_cells, to_multiple
from kochi.layers.dropout import Dropout
from kochi.memory import Memory


class VitEncoder(PictureEncoder):
    """Multiply each patch by a matrix, add its position, and apply layers.

    Args:
        channels: Numbers a pixel.
        patch: Pixels on a side of a patch.
        size: Width of the layers.
        positions: Adds positions to the patches, or leaves them.
        layers: Each takes (values, mask) and keeps the shape.
        norm: Normalises the last layer's output, or the identity.
        dropout: Rate on the patches.
    """

    def __init__(
        self,
        channels: int,
        patch: int,
        size: int,
        positions: nn.Module,
        layers: Sequence[nn.Module],
        norm: nn.Module,
        dropout: float,
    ) -> None:
        super().__init__(size, patch)
        self.patch_proj = nn.Conv2d(channels, size, patch, stride=patch)  # E
        nn.init.xavier_uniform_(self.patch_proj.weight.flatten(1))
        self.positions = positions
        self.layers = nn.ModuleList(layers)
        self.norm = norm
        self.dropout = Dropout(dropout)

    @override
    def forward(
        self,
        source: Float[Tensor, "batch channels height width"],
        mask: Bool[Tensor, "batch height width"],
    ) -> Memory:
        patch = self.layout.cell_height
        patches = self.patch_proj(to_multiple(quiet(source, mask), patch)).permute(0, 2, 3, 1)
        mask = mask[:, ::patch, ::patch]
        values, places = rows_of_cells(self.positions(patches), mask)
        values = self.dropout(values)
        for layer in self.layers:
            values = layer(values, places)
        values = self.norm(values)
        return Memory(values, places, mean_over_places(values, places), self.layout)
