"""The Transformer's encoder.

Vaswani et al. 2017, "Attention is all you need", sections 3.1 to 3.5,
https://arxiv.org/abs/1706.03762.
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from typing_extensions import override

from kochi.attention import MultiHeadAttention
from kochi.encoders.encoder import mean_over_places
from kochi.layers.dropout import Dropout
from kochi.layers.embedding import Embedding
from kochi.layers.feedforward import FeedForward, Residual
from kochi.memory import Memory


class TransformerEncoder(nn.Module):
    """Layers of self-attention and feed-forward over the source.

    The summary is the mean of the memory over the source positions.

    Args:
        embedding: Embeds the source tokens; its width is the width of the model.
        positions: Adds positions to the embeddings, or None where attention rotates.
        layers: The layers.
        norm: Normalises the last layer's output (pre-norm), or the identity.
        dropout: Rate on the embeddings.
    """

    def __init__(
        self,
        embedding: Embedding,
        positions: nn.Module | None,
        layers: list["TransformerEncoderLayer"],
        norm: nn.Module,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.positions = positions
        self.layers = nn.ModuleList(layers)
        self.norm = norm
        self.dropout = Dropout(dropout)
        self.memory_size = self.summary_size = embedding.weight.shape[1]

    @override
    def forward(
        self, source: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
    ) -> Memory:
        values = self.embedding(source)
        if self.positions is not None:
            values = self.positions(values)
        values = self.dropout(values)
        for layer in self.layers:
            values = layer(values, mask)
        values = self.norm(values)
        return Memory(values, mask, mean_over_places(values, mask))


class TransformerEncoderLayer(nn.Module):
    """Self-attention, then feed-forward, each with its residual and norm.

    Args:
        attention: Attends from the source to itself.
        feedforward: The position-wise part.
        norm: "pre" or "post".
        dropout: Rate on what each part adds.
    """

    def __init__(
        self,
        attention: MultiHeadAttention,
        feedforward: FeedForward,
        *,
        norm: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.feedforward = feedforward
        self.attention_residual = Residual(attention.context_size, norm, dropout)
        self.feedforward_residual = Residual(attention.context_size, norm, dropout)

    @override
    def forward(
        self, x: Float[Tensor, "batch source size"], mask: Bool[Tensor, "batch source"]
    ) -> Float[Tensor, "batch source size"]:
        query, projected = self.attention.project_self(self.attention_residual.before(x), mask)
        seen = self.attention.attend_heads(query, projected)
        x = self.attention_residual.after(x, seen.context)
        return self.feedforward_residual.after(
            x, self.feedforward(self.feedforward_residual.before(x))
        )
