"""LSTM or GRU over the source, in one direction or both.

Schuster and Paliwal 1997 (bidirectional); Bahdanau et al. 2015, section 3.2,
https://arxiv.org/abs/1409.0473; reversed source: Sutskever et al. 2014, section 3.3,
https://arxiv.org/abs/1409.3215.
"""

from jaxtyping import Bool, Int
from torch import Tensor, nn
from typing_extensions import override

from kochi.encoders.encoder import Encoder
from kochi.inputs import TokenInput
from kochi.layers.directions import permute, read_layers, reversal, stack_layers
from kochi.layers.dropout import Dropout
from kochi.layers.embedding import Embedding
from kochi.memory import Memory
from kochi.tables import Cell, Fraction, Layers, Positive


class RecurrentEncoder(Encoder):
    """Encode tokens with recurrent layers; the memory is the outputs of the top layer.

    The backward direction starts at each row's last token, so that padding has no effect. The
    summary is the outputs at the end of each direction.

    Args:
        embedding: Embeds the source tokens.
        cell: "lstm" or "gru".
        hidden_size: Width of one direction.
        layers: Number of layers.
        bidirectional: Use both directions in every layer.
        reverse_source: Reverse the source (useful without ``bidirectional``).
        dropout: Dropout rate of the embeddings, between layers, and of the outputs.
    """

    reads = TokenInput
    inherits = ("cell", "hidden_size", "layers", "bidirectional", "reverse_source", "dropout")

    def __init__(
        self,
        embedding: Embedding,
        *,
        cell: Cell = "lstm",
        hidden_size: Positive = 256,
        layers: Layers = 1,
        bidirectional: bool = True,
        reverse_source: bool = False,
        dropout: Fraction = 0.2,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.dropout = Dropout(dropout)
        self.reverse_source = reverse_source
        size = embedding.weight.shape[1]
        stack = stack_layers(cell, size, hidden_size, layers, bidirectional)
        self.memory_size = self.summary_size = stack[-1].output_size
        self.layers = nn.ModuleList(stack)

    @override
    def forward(
        self, source: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
    ) -> Memory:
        values = self.dropout(self.embedding(source))
        if not self.reverse_source:
            values, summary = read_layers(self.layers, values, mask, self.dropout)
        else:
            backwards = reversal(mask.sum(1), source.shape[1])
            values = permute(values, backwards)
            values, summary = read_layers(self.layers, values, mask, self.dropout)
            values = permute(values, backwards)
        return Memory(values * mask.unsqueeze(-1), mask, summary)
