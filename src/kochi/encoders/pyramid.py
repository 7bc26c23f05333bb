"""The listener of Listen, Attend and Spell: recurrent layers that halve the frames.

Chan, Jaitly, Le and Vinyals 2016, "Listen, attend and spell", section 3.1,
https://arxiv.org/abs/1508.01211.
"""

from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override

from kochi.encoders.encoder import Fed, FrameEncoder, join_neighbours, quiet_padding
from kochi.layers.directions import RecurrentLayer, read_layers
from kochi.layers.dropout import Dropout
from kochi.memory import Frames, Memory


class PyramidEncoder(FrameEncoder):
    """Read with a plain layer, then with layers of which each first joins neighbouring pairs.

    h_i^j = BiLSTM(h_(i-1)^j, [h_(2i)^(j-1); h_(2i+1)^(j-1)]) for the layers j = 1 ... ``halvings``;
    layers above them do not halve. The paper has one plain layer and three that halve. A last frame
    without a neighbour is joined with zeros. The summary is the outputs at the end of each
    direction.

    Args:
        input_size: Numbers a frame.
        layout: When the frames happen.
        cell: "lstm" or "gru".
        hidden_size: Width of one direction.
        num_layers: Number of layers, the plain first one counted.
        halvings: How many of the layers after the first halve.
        bidirectional: Read in both directions; else a position waits only for its own frames.
        dropout: Rate between layers and on outputs.

    Raises:
        ValueError: Not enough layers for so many halvings.
    """

    def __init__(
        self,
        input_size: int,
        layout: Frames,
        *,
        cell: str,
        hidden_size: int,
        num_layers: int,
        halvings: int,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        if not 0 <= halvings < num_layers:
            raise ValueError(
                f"halvings: got {halvings}, expected from 0 to {num_layers - 1}: the first of "
                f"{num_layers} layers does not halve"
            )
        factor, size = 2**halvings, hidden_size * (2 if bidirectional else 1)
        centre = layout.centre_seconds(0) + (factor - 1) / 2 * layout.hop_seconds
        super().__init__(size, size, factor, Frames(layout.hop_seconds * factor, centre))
        sizes = [input_size, *[2 * size] * halvings, *[size] * (num_layers - 1 - halvings)]
        self.layers = nn.ModuleList(
            RecurrentLayer(cell, width, hidden_size, bidirectional) for width in sizes
        )
        self.halvings = halvings
        self.dropout = Dropout(dropout)

    @override
    def forward(
        self, source: Float[Tensor, "batch frames size"], mask: Bool[Tensor, "batch frames"]
    ) -> Memory:
        layers = cast(list[RecurrentLayer], list(self.layers))
        values = quiet_padding(source, mask)
        for layer in layers[: self.halvings]:
            values, _ = read_layers([layer], values, mask, self.dropout)
            values, mask = join_neighbours(values, mask)
        values, summary = read_layers(layers[self.halvings :], values, mask, self.dropout)
        return Memory(values * mask.unsqueeze(-1), mask, summary, self.layout)

    @override
    def feed(
        self, frames: Float[Tensor, "1 frames size"], fed: Fed | None, last: bool
    ) -> tuple[Float[Tensor, "1 places memory_size"], Fed]:
        layers = cast(list[RecurrentLayer], list(self.layers))
        if len(layers[0].directions) > 1:
            return super().feed(frames, fed, last)
        values, rests, states = frames, [], []
        for level, layer in enumerate(layers):
            values, state = layer.read(values, None if fed is None else fed.states[level])
            states.append(state)
            if level < self.halvings:
                waiting = values if fed is None else torch.cat([fed.rests[level], values], 1)
                whole = waiting.shape[1] if last else waiting.shape[1] // 2 * 2
                rests.append(waiting[:, whole:])
                values = waiting[:, :whole]
                values, _ = join_neighbours(values, values.new_ones(values.shape[:2]).bool())
        return values, Fed(tuple(rests), tuple(states))
