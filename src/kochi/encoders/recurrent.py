"""LSTM or GRU over the source, in one direction or both.

Schuster and Paliwal 1997 (bidirectional); Bahdanau et al. 2015, section 3.2,
https://arxiv.org/abs/1409.0473; reversed source: Sutskever et al. 2014, section 3.3,
https://arxiv.org/abs/1409.3215.
"""

from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from typing_extensions import override

from kochi.layers.dropout import Dropout
from kochi.layers.embedding import Embedding
from kochi.layers.recurrent import RecurrentStack
from kochi.memory import Memory


class RecurrentEncoder(nn.Module):
    """Read the source with recurrent layers; the memory holds the top layer's outputs.

    The backward direction starts at each row's last token, not at the padding, so that padding
    changes nothing. The summary is the outputs at the end of each direction.

    Args:
        embedding: Embeds the source tokens.
        cell: "lstm" or "gru".
        hidden_size: Width of one direction.
        num_layers: Number of layers.
        bidirectional: Read in both directions in every layer.
        reverse_source: Read the source backwards (of use without ``bidirectional``).
        dropout: Rate on embeddings, between layers and on outputs.
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        cell: str,
        hidden_size: int,
        num_layers: int,
        bidirectional: bool,
        reverse_source: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.dropout = Dropout(dropout)
        self.reverse_source = reverse_source
        num_directions = 2 if bidirectional else 1
        self.memory_size = self.summary_size = hidden_size * num_directions
        sizes = [embedding.weight.shape[1]] + [self.memory_size] * (num_layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                RecurrentStack(cell, size, hidden_size, 1, 0.0) for _ in range(num_directions)
            )
            for size in sizes
        )

    @property
    def stacks(self) -> list[list[RecurrentStack]]:
        """The recurrent layers, each with one or two directions."""
        return [
            cast(list[RecurrentStack], list(cast(nn.ModuleList, layer))) for layer in self.layers
        ]

    @override
    def forward(
        self, source: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
    ) -> Memory:
        lengths = mask.sum(1)
        backwards = _reversal(lengths, source.shape[1])
        values = self.dropout(self.embedding(source))
        if self.reverse_source:
            values = _permute(values, backwards)
        for layer in self.stacks:
            values = self.dropout(_both_directions(layer, values, backwards))
        summary = _ends(values, lengths, len(self.stacks[0]))
        if self.reverse_source:
            values = _permute(values, backwards)
        return Memory(values * mask.unsqueeze(-1), mask, summary)


def _both_directions(layer: list[RecurrentStack], values: Tensor, backwards: Tensor) -> Tensor:
    zero = layer[0].start(values.shape[0], values)
    forward = layer[0].sequence(values, zero)
    if len(layer) == 1:
        return forward
    backward = layer[1].sequence(_permute(values, backwards), zero)
    return torch.cat([forward, _permute(backward, backwards)], dim=-1)


def _reversal(lengths: Int[Tensor, " batch"], length: int) -> Int[Tensor, "batch length"]:
    """Return positions that reverse the first ``lengths`` places of each row and keep the rest."""
    positions = torch.arange(length, device=lengths.device).expand(len(lengths), -1)
    mirrored = lengths[:, None] - 1 - positions
    return torch.where(mirrored >= 0, mirrored, positions)


def _permute(values: Tensor, order: Tensor) -> Tensor:
    return values.gather(1, order.unsqueeze(-1).expand_as(values))


def _ends(
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
