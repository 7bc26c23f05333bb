"""A residual network, then recurrent layers over each row of its map.

Deng, Kanervisto, Ling and Rush 2017, "Image-to-markup generation with coarse-to-fine attention",
section 4, https://arxiv.org/abs/1609.04938.
"""

from typing import Literal, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override

from kochi.encoders.picture import PictureEncoder, grid_positions
from kochi.encoders.residual import Channels, ResidualNetwork
from kochi.inputs import PictureInput
from kochi.layers.directions import RecurrentLayer, reversal, stack_layers
from kochi.layers.dropout import Dropout
from kochi.layers.initial import normal
from kochi.layers.recurrent import State
from kochi.memory import Memory
from kochi.tables import Cell, Fraction, GridPositionsName, Layers, Positions, Positive


class CnnRowsEncoder(PictureEncoder):
    """Run bidirectional recurrent layers over each row of the map, with a learned initial state.

    Args:
        source: The input images.
        channels: Number of filters of each stage; a stage halves height and width.
        blocks: Number of residual blocks per stage.
        patch: Width and height, in pixels, of a cell of the first stage's input.
        positions: Positions added to the output of the recurrent layers: "sinusoidal" in both
            directions, or "none".
        cell: "lstm" or "gru".
        hidden_size: Width of one direction.
        layers: Number of recurrent layers.
        max_rows: Number of rows with their own initial state; further rows share the last one.
        dropout: Dropout rate of the map and of the output of each layer.
    """

    def __init__(
        self,
        source: PictureInput,
        *,
        channels: Channels = (32, 64, 128),
        blocks: Layers = 1,
        patch: Literal[1, 2, 4] = 1,
        positions: GridPositionsName = "sinusoidal",
        cell: Cell = "lstm",
        hidden_size: Positive = 128,
        layers: Layers = 1,
        max_rows: Positions = 64,
        dropout: Fraction = 0.1,
    ) -> None:
        network = ResidualNetwork(source.channels, channels, blocks, patch)
        super().__init__(2 * hidden_size, network.cell)
        self.network = network
        self.positions = grid_positions(positions, 2 * hidden_size)
        self.layers = nn.ModuleList(stack_layers(cell, channels[-1], hidden_size, layers, True))
        vectors = 2 if cell == "lstm" else 1
        self.row_states = nn.Parameter(
            normal(layers, 2, vectors, max_rows, hidden_size, deviation=0.1)
        )  # V_h0
        self.dropout = Dropout(dropout)

    @override
    def forward(
        self,
        source: Float[Tensor, "batch channels height width"],
        mask: Bool[Tensor, "batch height width"],
    ) -> Memory:
        values, mask = self.network(source, mask)
        batch, rows = values.shape[:2]
        values = self.dropout(values.flatten(0, 1))
        backwards = reversal(mask.flatten(0, 1).sum(1), values.shape[1])
        for layer, states in zip(self.layers, self._starts(batch, rows), strict=True):
            values = self.dropout(cast(RecurrentLayer, layer)(values, backwards, states))
        return self.remember(self.positions(values.unflatten(0, (batch, rows))), mask)

    def _starts(self, batch: int, rows: int) -> list[list[State]]:
        """Return the initial states of all rows of all images, for each layer and direction."""
        row = torch.arange(rows, device=self.row_states.device)
        chosen = self.row_states[..., row.clamp(max=self.row_states.shape[3] - 1), :]
        every = chosen.unsqueeze(3).expand(-1, -1, -1, batch, -1, -1).flatten(3, 4)
        return [[(direction,) for direction in layer] for layer in every]
