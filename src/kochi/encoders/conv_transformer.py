"""Strided convolutions, then a Transformer's encoder.

Dong, Xu and Xu 2018, "Speech-Transformer", https://doi.org/10.1109/ICASSP.2018.8462506, without the
paper's two-dimensional attention before the layers.
"""

from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override

from kochi.encoders.encoder import FrameEncoder, layout_of, mean_over_positions
from kochi.encoders.subsampling import ConvSubsampling
from kochi.encoders.transformer_layers import INHERITED, apply_layers, transformer_layers
from kochi.inputs import FrameInput
from kochi.layers.dropout import Dropout
from kochi.layers.feedforward import last_norm
from kochi.layers.positions import positions_of
from kochi.memory import Memory
from kochi.tables import (
    Activation,
    Fraction,
    HeadsAttention,
    Layers,
    Norm,
    Positions,
    Positive,
    TextPositions,
)


class ConvTransformerEncoder(FrameEncoder):
    """Subsample frames by four, then apply Transformer layers; the summary is the mean.

    Args:
        source: The input frames.
        channels: Number of filters of each convolution.
        size: Width of the layers.
        layers: Number of layers.
        causal: Use no later frame in any convolution. For streaming, ``self_attention`` needs a
            causal scope too (``{ kind = "sliding_window", right = 0 }``).
        feedforward_size: Width of the inner layer of the feed-forward layers.
        norm: "pre" or "post".
        positions: "sinusoidal", "learned", or "rotary", which are applied inside attention.
        max_positions: Number of learned positions.
        activation: Activation of the feed-forward layers.
        dropout: Dropout rate of the subsampled frames and of each residual branch.
        attention_dropout: Dropout rate of the alignments.
        self_attention: Components of the self-attention.
    """

    inherits = ("size", "positions", "max_positions", *INHERITED)

    def __init__(
        self,
        source: FrameInput,
        *,
        channels: Positive = 32,
        size: Positive = 128,
        layers: Layers = 4,
        causal: bool = False,
        dropout: Fraction = 0.1,
        attention_dropout: Fraction = 0.0,
        feedforward_size: Positive = 256,
        norm: Norm = "pre",
        positions: TextPositions = "sinusoidal",
        max_positions: Positions = 1024,
        activation: Activation = "relu",
        self_attention: HeadsAttention = HeadsAttention(),  # noqa: B008 frozen
    ) -> None:
        convolutions = ConvSubsampling(source.size, size, channels, causal)
        super().__init__(size, size, convolutions.factor, convolutions.layout(layout_of(source)))
        self.convolutions = convolutions
        stack = transformer_layers(
            layers,
            self_attention,
            size,
            feedforward_size,
            norm=norm,
            activation=activation,
            dropout=dropout,
            attention_dropout=attention_dropout,
            rotary=positions == "rotary",
        )
        self.positions = positions_of(positions, size, max_positions)
        self.layers = nn.ModuleList(stack)
        self.norm = last_norm(norm, size)
        self.dropout = Dropout(dropout)

    @override
    def forward(
        self, source: Float[Tensor, "batch frames size"], mask: Bool[Tensor, "batch frames"]
    ) -> Memory:
        values, mask = self.convolutions(source, mask)
        if self.positions is not None:
            values = self.positions(values)
        values = self.norm(apply_layers(self.layers, self.dropout(values), mask))
        return Memory(values, mask, mean_over_positions(values, mask), self.layout)
