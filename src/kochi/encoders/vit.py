"""Patches of an image and a Transformer encoder.

Dosovitskiy et al. 2021, "An image is worth 16x16 words", section 3.1,
https://arxiv.org/abs/2010.11929. There is no class token: the summary is the mean over positions.
"""

from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override

from kochi.encoders.encoder import mean_over_positions
from kochi.encoders.picture import (
    PictureEncoder,
    grid_positions,
    quiet,
    rows_of_cells,
    to_multiple,
)
from kochi.encoders.transformer_layers import INHERITED, apply_layers, transformer_layers
from kochi.inputs import PictureInput
from kochi.layers.dropout import Dropout
from kochi.layers.feedforward import last_norm
from kochi.memory import Memory
from kochi.tables import (
    Activation,
    Fraction,
    GridPositionsName,
    HeadsAttention,
    Layers,
    Norm,
    Positive,
)


class VitEncoder(PictureEncoder):
    """Project each patch, add its position, and apply Transformer layers.

    Args:
        source: The input images.
        patch: Width and height of a patch, in pixels.
        positions: Positions added to the patches: "sinusoidal" in both directions, or "none".
        size: Width of the layers.
        feedforward_size: Width of the inner layer of the feed-forward layers.
        layers: Number of layers.
        norm: "pre" or "post".
        activation: Activation of the feed-forward layers.
        dropout: Dropout rate of the patches and of each residual branch.
        attention_dropout: Dropout rate of the alignments.
        self_attention: Components of the self-attention.
    """

    inherits = ("size", *INHERITED)

    def __init__(
        self,
        source: PictureInput,
        *,
        patch: Positive = 8,
        positions: GridPositionsName = "sinusoidal",
        size: Positive = 128,
        feedforward_size: Positive = 256,
        layers: Layers = 4,
        norm: Norm = "pre",
        activation: Activation = "gelu",
        dropout: Fraction = 0.1,
        attention_dropout: Fraction = 0.0,
        self_attention: HeadsAttention = HeadsAttention(),  # noqa: B008 frozen
    ) -> None:
        super().__init__(size, patch)
        stack = transformer_layers(
            layers,
            self_attention,
            size,
            feedforward_size,
            norm=norm,
            activation=activation,
            dropout=dropout,
            attention_dropout=attention_dropout,
        )
        self.patch_proj = nn.Conv2d(source.channels, size, patch, stride=patch)  # E
        nn.init.xavier_uniform_(self.patch_proj.weight.flatten(1))
        self.positions = grid_positions(positions, size)
        self.layers = nn.ModuleList(stack)
        self.norm = last_norm(norm, size)
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
        values, visible = rows_of_cells(self.positions(patches), mask)
        values = self.norm(apply_layers(self.layers, self.dropout(values), visible))
        return Memory(values, visible, mean_over_positions(values, visible), self.layout)
