"""Strided convolutions, then recurrent layers.

The encoder of many hybrid recognisers; the convolutions replace the frame-skipping layers of
Watanabe et al. 2017, "Hybrid CTC/attention architecture for end-to-end speech recognition",
https://ieeexplore.ieee.org/document/8068205.
"""

from typing import cast

from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override

from kochi.encoders.encoder import Fed, FrameEncoder, layout_of
from kochi.encoders.subsampling import ConvSubsampling
from kochi.inputs import FrameInput
from kochi.layers.directions import RecurrentLayer, read_layers, stack_layers
from kochi.layers.dropout import Dropout
from kochi.memory import Memory
from kochi.tables import Cell, Fraction, Layers, Positive


class ConvRecurrentEncoder(FrameEncoder):
    """Subsample frames by four, then apply LSTM or GRU layers in one or both directions.

    The summary is the outputs at the end of each direction.

    Args:
        source: The input frames.
        channels: Number of filters of each convolution.
        cell: "lstm" or "gru".
        hidden_size: Width of one direction, and of the subsampled frames.
        layers: Number of recurrent layers.
        bidirectional: Use both directions; otherwise no position depends on a later frame.
        dropout: Dropout rate of the subsampled frames, between layers, and of the outputs.
    """

    def __init__(
        self,
        source: FrameInput,
        *,
        cell: Cell = "lstm",
        hidden_size: Positive = 256,
        layers: Layers = 3,
        bidirectional: bool = True,
        dropout: Fraction = 0.2,
        channels: Positive = 32,
    ) -> None:
        subsampling = ConvSubsampling(source.size, hidden_size, channels, not bidirectional)
        stack = stack_layers(cell, hidden_size, hidden_size, layers, bidirectional)
        size, layout = stack[-1].output_size, subsampling.layout(layout_of(source))
        super().__init__(size, size, subsampling.factor, layout)
        self.convolutions = subsampling
        self.layers = nn.ModuleList(stack)
        self.dropout = Dropout(dropout)

    @override
    def forward(
        self, source: Float[Tensor, "batch frames size"], mask: Bool[Tensor, "batch frames"]
    ) -> Memory:
        values, mask = self.convolutions(source, mask)
        values, summary = read_layers(self.layers, self.dropout(values), mask, self.dropout)
        return Memory(values * mask.unsqueeze(-1), mask, summary, self.layout)

    @override
    def feed(
        self, frames: Float[Tensor, "1 frames size"], fed: Fed | None, last: bool
    ) -> tuple[Float[Tensor, "1 positions memory_size"], Fed]:
        layers = cast(list[RecurrentLayer], list(self.layers))
        if len(layers[0].directions) > 1:
            return super().feed(frames, fed, last)
        values, rests = self.convolutions.feed(frames, () if fed is None else fed.rests)
        states = []
        for level, layer in enumerate(layers):
            values, state = layer.read(values, None if fed is None else fed.states[level])
            states.append(state)
        return values, Fed(rests, tuple(states))
