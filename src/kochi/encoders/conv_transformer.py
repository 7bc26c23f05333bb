"""Strided convolutions, then layers of self-attention: of a Transformer or a Conformer.

Dong, Xu and Xu 2018, "Speech-Transformer", https://doi.org/10.1109/ICASSP.2018.8462506; Gulati et
al. 2020, "Conformer", https://arxiv.org/abs/2005.08100. The first also attends in two dimensions
before the layers; this does not.
"""

from collections.abc import Sequence

from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override

from kochi.encoders.encoder import FrameEncoder, mean_over_places
from kochi.encoders.subsampling import ConvSubsampling
from kochi.layers.dropout import Dropout
from kochi.memory import Frames, Memory


class ConvTransformerEncoder(FrameEncoder):
    """Make four frames one, then apply layers; the summary is the mean of the memory.

    Args:
        layout: When the frames happen.
        convolutions: Its ``output_size`` is the width of the layers.
        positions: Adds positions to what the convolutions leave, or None where attention knows
            them.
        layers: Each takes (values, mask) and keeps the shape: `TransformerEncoderLayer` or
            `ConformerLayer`.
        norm: Normalises the last layer's output, or the identity.
        dropout: Rate on what the convolutions leave.
    """

    def __init__(
        self,
        layout: Frames,
        convolutions: ConvSubsampling,
        positions: nn.Module | None,
        layers: Sequence[nn.Module],
        norm: nn.Module,
        dropout: float,
    ) -> None:
        size = convolutions.output_proj.out_features
        super().__init__(size, size, convolutions.factor, convolutions.layout(layout))
        self.convolutions = convolutions
        self.positions = positions
        self.layers = nn.ModuleList(layers)
        self.norm = norm
        self.dropout = Dropout(dropout)

    @override
    def forward(
        self, source: Float[Tensor, "batch frames size"], mask: Bool[Tensor, "batch frames"]
    ) -> Memory:
        values, mask = self.convolutions(source, mask)
        if self.positions is not None:
            values = self.positions(values)
        values = self.dropout(values)
        for layer in self.layers:
            values = layer(values, mask)
        values = self.norm(values)
        return Memory(values, mask, mean_over_places(values, mask), self.layout)
