"""A residual network whose last map is the memory.

As in Xu et al. 2015, "Show, attend and tell", section 3.1.1, https://arxiv.org/abs/1502.03044, who
use a lower layer of a network so that each vector belongs to a part of the image.
"""

from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor
from typing_extensions import override

from kochi.encoders.picture import PictureEncoder, grid_positions
from kochi.encoders.residual import Channels, ResidualNetwork
from kochi.inputs import PictureInput
from kochi.layers.dropout import Dropout
from kochi.memory import Memory
from kochi.tables import Fraction, GridPositionsName, Layers


class CnnEncoder(PictureEncoder):
    """Return the last feature map of a residual network, with positions added.

    Args:
        source: The input images.
        channels: Number of filters of each stage; a stage halves height and width.
        blocks: Number of residual blocks per stage.
        patch: Width and height, in pixels, of a cell of the first stage's input.
        positions: Positions added to the map: "sinusoidal" in both directions, or "none".
        dropout: Dropout rate of the map.
    """

    def __init__(
        self,
        source: PictureInput,
        *,
        channels: Channels = (32, 64, 128),
        blocks: Layers = 1,
        patch: Literal[1, 2, 4] = 1,
        positions: GridPositionsName = "sinusoidal",
        dropout: Fraction = 0.1,
    ) -> None:
        network = ResidualNetwork(source.channels, channels, blocks, patch)
        super().__init__(channels[-1], network.cell)
        self.network = network
        self.positions = grid_positions(positions, channels[-1])
        self.dropout = Dropout(dropout)

    @override
    def forward(
        self,
        source: Float[Tensor, "batch channels height width"],
        mask: Bool[Tensor, "batch height width"],
    ) -> Memory:
        values, mask = self.network(source, mask)
        return self.remember(self.dropout(self.positions(values)), mask)
