"""Layers of the Transformer's encoder, over tokens, frames or patches.

Vaswani et al. 2017, "Attention is all you need", section 3.1, https://arxiv.org/abs/1706.03762.
"""

from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override

from kochi.attention import MultiHeadAttention
from kochi.layers.feedforward import FeedForward, Residual
from kochi.layers.self_attention import attention_to_itself
from kochi.tables import Activation, HeadsAttention, Norm

INHERITED = (
    "feedforward_size",
    "layers",
    "norm",
    "activation",
    "dropout",
    "attention_dropout",
    "self_attention",
)


class TransformerEncoderLayer(nn.Module):
    """Self-attention, then feed-forward, each with its residual and norm.

    Args:
        attention: The self-attention.
        feedforward: The position-wise feed-forward layer.
        norm: "pre" or "post".
        dropout: Dropout rate of each residual branch.
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


def transformer_layers(
    layers: int,
    table: HeadsAttention,
    size: int,
    feedforward_size: int,
    *,
    norm: Norm,
    activation: Activation,
    dropout: float,
    attention_dropout: float,
    rotary: bool = False,
) -> list[TransformerEncoderLayer]:
    """Build the layers of a Transformer's encoder."""
    return [
        TransformerEncoderLayer(
            attention_to_itself(table, size, attention_dropout, rotary),
            FeedForward(size, feedforward_size, activation, dropout),
            norm=norm,
            dropout=dropout,
        )
        for _ in range(layers)
    ]


def apply_layers(
    layers: nn.ModuleList,
    values: Float[Tensor, "batch length size"],
    mask: Bool[Tensor, "batch length"],
) -> Float[Tensor, "batch length size"]:
    """Apply layers that take (values, mask) and keep the shape, one after the other."""
    for layer in layers:
        values = layer(values, mask)
    return values
