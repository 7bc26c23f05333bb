"""Strided convolutions, then recurrent layers.

The encoder of many hybrid recognisers; the convolutions stand where Watanabe et al. 2017, "Hybrid
CTC/attention architecture for end-to-end speech recognition",
https://ieeexplore.ieee.org/document/8068205, have layers that skip frames.
"""

from typing import cast

from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override

from kochi.encoders.encoder import Fed, FrameEncoder
from kochi.encoders.subsampling import ConvSubsampling
from kochi.layers.directions import RecurrentLayer, read_layers, stack_layers
from kochi.layers.dropout import Dropout
from kochi.memory import Frames, Memory


class ConvRecurrentEncoder(FrameEncoder):
    """Make four frames one, then read with LSTM or GRU layers in one direction or both.

    The summary is the outputs at the end of each direction.

    Args:
        input_size: Numbers a frame.
        layout: When the frames happen.
        channels: Number of filters of each convolution.
        cell: "lstm" or "gru".
        hidden_size: Width of one direction, and of what the convolutions leave.
        num_layers: Number of recurrent layers.
        bidirectional: Read in both directions; else no position looks at a later frame.
        dropout: Rate on what the convolutions leave, between layers and on outputs.
    """

    def __init__(
        self,
        input_size: int,
        layout: Frames,
        *,
        channels: int,
        cell: str,
        hidden_size: int,
        num_layers: int,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        subsampling = ConvSubsampling(input_size, hidden_size, channels, not bidirectional)
        layers = stack_layers(cell, hidden_size, hidden_size, num_layers, bidirectional)
        size = layers[-1].output_size
        super().__init__(size, size, subsampling.factor, subsampling.layout(layout))
        self.convolutions = subsampling
        self.layers = nn.ModuleList(layers)
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
    ) -> tuple[Float[Tensor, "1 places memory_size"], Fed]:
        layers = cast(list[RecurrentLayer], list(self.layers))
        if len(layers[0].directions) > 1:
            return super().feed(frames, fed, last)
        values, rests = self.convolutions.feed(frames, () if fed is None else fed.rests)
        states = []
        for level, layer in enumerate(layers):
            values, state = layer.read(values, None if fed is None else fed.states[level])
            states.append(state)
        return values, Fed(rests, tuple(states))
