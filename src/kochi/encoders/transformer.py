"""The Transformer's encoder.

Vaswani et al. 2017, "Attention is all you need", sections 3.1 to 3.5,
https://arxiv.org/abs/1706.03762.
"""

from jaxtyping import Bool, Int
from torch import Tensor, nn
from typing_extensions import override

from kochi.encoders.encoder import Encoder, mean_over_positions
from kochi.encoders.transformer_layers import INHERITED, apply_layers, transformer_layers
from kochi.inputs import TokenInput
from kochi.layers.dropout import Dropout
from kochi.layers.embedding import Embedding
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


class TransformerEncoder(Encoder):
    """Layers of self-attention and feed-forward over the source.

    The summary is the mean of the memory over the source positions.

    Args:
        embedding: Embeds the source tokens; its width is the width of the layers.
        feedforward_size: Width of the inner layer of the feed-forward layers.
        layers: Number of layers.
        norm: "pre" or "post".
        positions: "sinusoidal", "learned", or "rotary", which are applied inside attention.
        max_positions: Number of learned positions.
        activation: Activation of the feed-forward layers.
        dropout: Dropout rate of the embeddings and of each residual branch.
        attention_dropout: Dropout rate of the alignments.
        self_attention: Components of the self-attention.
    """

    reads = TokenInput
    inherits = ("positions", "max_positions", *INHERITED)

    def __init__(
        self,
        embedding: Embedding,
        *,
        feedforward_size: Positive = 256,
        layers: Layers = 4,
        norm: Norm = "pre",
        positions: TextPositions = "sinusoidal",
        max_positions: Positions = 1024,
        activation: Activation = "relu",
        dropout: Fraction = 0.1,
        attention_dropout: Fraction = 0.0,
        self_attention: HeadsAttention = HeadsAttention(),  # noqa: B008 frozen
    ) -> None:
        super().__init__()
        size = embedding.weight.shape[1]
        self.embedding = embedding
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
        self.memory_size = self.summary_size = size

    @override
    def forward(
        self, source: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
    ) -> Memory:
        values = self.embedding(source)
        if self.positions is not None:
            values = self.positions(values)
        values = self.norm(apply_layers(self.layers, self.dropout(values), mask))
        return Memory(values, mask, mean_over_positions(values, mask))
