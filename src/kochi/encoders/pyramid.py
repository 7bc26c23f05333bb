"""The listener of Listen, Attend and Spell: recurrent layers that halve the number of frames.

Chan, Jaitly, Le and Vinyals 2016, "Listen, attend and spell", section 3.1,
https://arxiv.org/abs/1508.01211.
"""

from typing import Annotated, cast

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from kochi.encoders.encoder import Fed, FrameEncoder, join_neighbours, layout_of, quiet_padding
from kochi.inputs import FrameInput
from kochi.layers.directions import RecurrentLayer, read_layers
from kochi.layers.dropout import Dropout
from kochi.memory import Frames, Memory
from kochi.tables import Cell, Fraction, Layers, Positive


class PyramidEncoder(FrameEncoder):
    """Apply a plain recurrent layer, then layers that each first join pairs of neighbours.

    h_i^j = BiLSTM(h_(i-1)^j, [h_(2i)^(j-1); h_(2i+1)^(j-1)]) for the layers j = 1 ... ``halvings``;
    further layers do not halve. The paper has one plain layer and three that halve. A last frame
    without a neighbour is joined with zeros. The summary is the outputs at the end of each
    direction.

    Args:
        source: The input frames.
        cell: "lstm" or "gru".
        hidden_size: Width of one direction.
        layers: Number of layers; the first does not halve.
        halvings: Number of layers after the first that halve the length.
        bidirectional: Use both directions; otherwise no position depends on a later one.
        dropout: Dropout rate between layers and of the outputs.

    Raises:
        ValueError: There are not enough layers for this number of halvings.
    """

    inherits = ("cell", "hidden_size", "layers", "bidirectional", "dropout")
    fewest_layers = 3

    def __init__(
        self,
        source: FrameInput,
        *,
        cell: Cell = "lstm",
        hidden_size: Positive = 256,
        layers: Layers = 3,
        bidirectional: bool = True,
        dropout: Fraction = 0.2,
        halvings: Annotated[int, Field(ge=0, le=20)] = 2,
    ) -> None:
        if halvings >= layers:
            raise ValueError(
                f"halvings = {halvings} needs at least {halvings + 1} layers, since the first "
                f"does not halve; got layers = {layers}"
            )
        factor, size = 2**halvings, hidden_size * (2 if bidirectional else 1)
        layout = layout_of(source)
        centre = layout.centre_seconds(0) + (factor - 1) / 2 * layout.hop_seconds
        super().__init__(size, size, factor, Frames(layout.hop_seconds * factor, centre))
        sizes = [source.size, *[2 * size] * halvings, *[size] * (layers - 1 - halvings)]
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
    ) -> tuple[Float[Tensor, "1 positions memory_size"], Fed]:
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
