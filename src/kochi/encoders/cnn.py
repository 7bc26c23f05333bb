"""A residual network whose last map is the memory.

As in Xu et al. 2015, "Show, attend and tell", section 3.1.1, https://arxiv.org/abs/1502.03044, who
take a lower layer of a network so that each vector belongs to a part of the picture.
"""

from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override

from kochi.encoders.picture import PictureEncoder
from kochi.encoders.residual import ResidualNetwork
from kochi.layers.dropout import Dropout
from kochi.memory import Memory


class CnnEncoder(PictureEncoder):
    """Leave the last map, with positions added to it.

    Args:
        network: Makes the map.
        size: Filters of its last stage.
        positions: Adds positions to the map, or leaves it.
        dropout: Rate on the map.
    """

    def __init__(
        self, network: ResidualNetwork, size: int, positions: nn.Module, dropout: float
    ) -> None:
        super().__init__(size, network.cell)
        self.network = network
        self.positions = positions
        self.dropout = Dropout(dropout)

    @override
    def forward(
        self,
        source: Float[Tensor, "batch channels height width"],
        mask: Bool[Tensor, "batch height width"],
    ) -> Memory:
        values, mask = self.network(source, mask)
        return self.remember(self.dropout(self.positions(values)), mask)
