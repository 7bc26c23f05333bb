"""Recurrent layers over whole, padded sequences, in one direction or both.

Schuster and Paliwal 1997, "Bidirectional recurrent neural networks",
https://doi.org/10.1109/78.650093. Rows are not packed but reversed inside their own length, which
is faster on a CPU.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from typing_extensions import override

from kochi.layers.dropout import Dropout
from kochi.layers.recurrent import RecurrentStack, State


class RecurrentLayer(nn.ModuleList):
    """One recurrent layer in one or both directions.

    The backward direction starts at each row's last position, not at the padding, so that padding
    does not affect earlier positions. Outputs at padding are meaningless.

    Args:
        cell: "lstm" or "gru".
        input_size: Width of the inputs.
        hidden_size: Width of one direction.
        bidirectional: Use both directions.
    """

    def __init__(self, cell: str, input_size: int, hidden_size: int, bidirectional: bool) -> None:
        super().__init__(
            RecurrentStack(cell, input_size, hidden_size, 1, 0.0)
            for _ in range(2 if bidirectional else 1)
        )
        self.output_size = hidden_size * len(self)

    @property
    def directions(self) -> list[RecurrentStack]:
        """The forward stack, and the backward one if there is one."""
        return cast(list[RecurrentStack], list(self))

    @override
    def forward(
        self,
        values: Float[Tensor, "batch length input_size"],
        backwards: Int[Tensor, "batch length"],
        starts: Sequence[State] | None = None,
    ) -> Float[Tensor, "batch length output_size"]:
        """Run; ``backwards`` is the `reversal` of the rows, ``starts`` a state per direction."""
        forward, *others = self.directions
        if starts is None:
            starts = [forward.start(len(values), values)] * len(self)
        read = forward.sequence(values, starts[0])
        if not others:
            return read
        read_back = others[0].sequence(permute(values, backwards), starts[1])
        return torch.cat([read, permute(read_back, backwards)], dim=-1)

    def read(
        self, values: Float[Tensor, "rows length input_size"], state: State | None
    ) -> tuple[Float[Tensor, "rows length output_size"], State]:
        """Continue from ``state`` (None at the beginning); for unidirectional layers only.

        Returns:
            The outputs, and the state to continue from.
        """
        [forward] = self.directions
        state = forward.start(len(values), values) if state is None else state
        if not values.shape[1]:
            return values.new_zeros(len(values), 0, self.output_size), state
        return forward.read(values, state)

    if TYPE_CHECKING:

        def __call__(
            self, values: Tensor, backwards: Tensor, starts: Sequence[State] | None = None
        ) -> Tensor:
            """Type a call as `forward`."""
            ...


def stack_layers(
    cell: str, input_size: int, hidden_size: int, num_layers: int, bidirectional: bool
) -> list[RecurrentLayer]:
    """Build layers whose inputs are the outputs of the layer below."""
    sizes = [input_size] + [hidden_size * (2 if bidirectional else 1)] * (num_layers - 1)
    return [RecurrentLayer(cell, size, hidden_size, bidirectional) for size in sizes]


def read_layers(
    layers: Iterable[nn.Module],
    values: Float[Tensor, "batch length input_size"],
    mask: Bool[Tensor, "batch length"],
    dropout: Dropout,
) -> tuple[Float[Tensor, "batch length size"], Float[Tensor, "batch size"]]:
    """Apply one `RecurrentLayer` after the other.

    Args:
        layers: The layers, first to last.
        values: The input of the first layer.
        mask: False at padding, which is at the end of each row.
        dropout: Dropout of the outputs of each layer, including the last one.

    Returns:
        The outputs of the last layer, and its output at the end of each direction.
    """
    lengths = mask.sum(1)
    backwards = reversal(lengths, values.shape[1])
    directions = 1
    for layer in cast(Iterable[RecurrentLayer], layers):
        values = dropout(layer(values, backwards))
        directions = len(layer)
    return values, ends(values, lengths, directions)


def reversal(lengths: Int[Tensor, " batch"], length: int) -> Int[Tensor, "batch length"]:
    """Return indices that reverse the first ``lengths`` positions of each row and keep the rest.

    >>> reversal(torch.tensor([3, 1]), 4).tolist()
    [[2, 1, 0, 3], [0, 1, 2, 3]]
    """
    positions = torch.arange(length, device=lengths.device).expand(len(lengths), -1)
    mirrored = lengths[:, None] - 1 - positions
    return torch.where(mirrored >= 0, mirrored, positions)


def permute(
    values: Float[Tensor, "batch length size"], order: Int[Tensor, "batch length"]
) -> Float[Tensor, "batch length size"]:
    """Reorder the positions of each row."""
    return values.gather(1, order.unsqueeze(-1).expand_as(values))


def ends(
    values: Float[Tensor, "batch length size"], lengths: Int[Tensor, " batch"], num_directions: int
) -> Float[Tensor, "batch size"]:
    """Return the last output of the forward and the first position's of the backward direction."""
    last = values.gather(
        1, (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, values.shape[2])
    )
    if num_directions == 1:
        return last.squeeze(1)
    half = values.shape[2] // 2
    return torch.cat([last[:, 0, :half], values[:, 0, half:]], dim=-1)
