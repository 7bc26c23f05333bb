"""The Conformer: self-attention and convolution between two half-step feed-forward layers.

Gulati et al. 2020, "Conformer: convolution-augmented Transformer for speech recognition", section
2, https://arxiv.org/abs/2005.08100.
"""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override

from kochi.attention import MultiHeadAttention
from kochi.encoders.encoder import FrameEncoder, layout_of, mean_over_positions, quiet_padding
from kochi.encoders.subsampling import ConvSubsampling
from kochi.encoders.transformer_layers import apply_layers
from kochi.inputs import FrameInput
from kochi.layers.dropout import Dropout
from kochi.layers.feedforward import FeedForward, Residual
from kochi.layers.self_attention import attention_to_itself
from kochi.memory import Memory
from kochi.products import Linear
from kochi.tables import Fraction, HeadsAttention, Layers, Positive

ROTARY = HeadsAttention.model_validate({"relative": "rotary"})


class ConformerEncoder(FrameEncoder):
    """Subsample frames by four, then apply Conformer layers; the summary is the mean.

    Args:
        source: The input frames.
        channels: Number of filters of each subsampling convolution.
        size: Width of the layers.
        layers: Number of layers.
        causal: Use no later frame in any convolution. For streaming, ``self_attention`` needs a
            causal scope too (``{ kind = "sliding_window", right = 0 }``).
        feedforward_size: Width of the inner layer of the feed-forward layers.
        conv_width: Width, in frames, of the filters of a layer's convolution.
        dropout: Dropout rate of the subsampled frames and of each residual branch.
        attention_dropout: Dropout rate of the alignments.
        self_attention: Components of the self-attention.
    """

    def __init__(
        self,
        source: FrameInput,
        *,
        channels: Positive = 32,
        size: Positive = 128,
        layers: Layers = 4,
        causal: bool = False,
        dropout: Fraction = 0.1,
        attention_dropout: Fraction = 0.0,
        feedforward_size: Positive = 512,
        conv_width: Positive = 31,
        self_attention: HeadsAttention = ROTARY,
    ) -> None:
        convolutions = ConvSubsampling(source.size, size, channels, causal)
        super().__init__(size, size, convolutions.factor, convolutions.layout(layout_of(source)))
        self.convolutions = convolutions

        def feedforward() -> FeedForward:
            return FeedForward(size, feedforward_size, "silu", dropout)

        self.layers = nn.ModuleList(
            ConformerLayer(
                attention_to_itself(self_attention, size, attention_dropout),
                feedforward(),
                Convolution(size, conv_width, causal),
                feedforward(),
                dropout=dropout,
            )
            for _ in range(layers)
        )
        self.dropout = Dropout(dropout)

    @override
    def forward(
        self, source: Float[Tensor, "batch frames size"], mask: Bool[Tensor, "batch frames"]
    ) -> Memory:
        values, mask = self.convolutions(source, mask)
        values = apply_layers(self.layers, self.dropout(values), mask)
        return Memory(values, mask, mean_over_positions(values, mask), self.layout)


class ConformerLayer(nn.Module):
    """One layer.

    x1 = x + FFN(x) / 2; x2 = x1 + MHSA(x1); x3 = x2 + Conv(x2); y = LayerNorm(x3 + FFN'(x3) / 2)
    (section 2.4, equation 1); each branch first normalises its input. Positions are those of the
    given attention; the paper uses the relative positions of Transformer-XL.

    Args:
        attention: The self-attention.
        first: The first feed-forward layer (FFN).
        convolution: The convolution (Conv).
        second: The second feed-forward layer (FFN').
        dropout: Dropout rate of each residual branch.
    """

    def __init__(
        self,
        attention: MultiHeadAttention,
        first: FeedForward,
        convolution: "Convolution",
        second: FeedForward,
        *,
        dropout: float,
    ) -> None:
        super().__init__()
        size = attention.context_size
        self.first, self.second = first, second
        self.attention, self.convolution = attention, convolution
        self.first_residual = Residual(size, "pre", dropout)
        self.attention_residual = Residual(size, "pre", dropout)
        self.convolution_residual = Residual(size, "pre", dropout)
        self.second_residual = Residual(size, "pre", dropout)
        self.norm = nn.LayerNorm(size)

    @override
    def forward(
        self, x: Float[Tensor, "batch source size"], mask: Bool[Tensor, "batch source"]
    ) -> Float[Tensor, "batch source size"]:
        x = self.first_residual.after(x, 0.5 * self.first(self.first_residual.before(x)))
        query, projected = self.attention.project_self(self.attention_residual.before(x), mask)
        x = self.attention_residual.after(x, self.attention.attend_heads(query, projected).context)
        x = self.convolution_residual.after(
            x, self.convolution(self.convolution_residual.before(x), mask)
        )
        x = self.second_residual.after(x, 0.5 * self.second(self.second_residual.before(x)))
        return self.norm(x)


class Convolution(nn.Module):
    """W2 swish(norm(depthwise(GLU(W1 x)))), over time (section 2.2).

    ``norm`` is a layer norm instead of the paper's batch norm, so that the output does not depend
    on padding or the rest of the batch.

    Args:
        size: Width of the frames.
        width: Width of a filter, in frames.
        causal: Use only earlier frames; otherwise ``width`` must be odd.

    Raises:
        ValueError: ``width`` is even and the convolution is not causal.
    """

    def __init__(self, size: int, width: int, causal: bool) -> None:
        super().__init__()
        if not causal and width % 2 == 0:
            raise ValueError(
                f"width of the convolution: got {width}, expected an odd number, or a causal "
                "convolution"
            )
        self.inner = Linear(size, 2 * size)  # W1
        self.depthwise = nn.Conv1d(size, size, width, groups=size)
        self.norm = nn.LayerNorm(size)
        self.outer = Linear(size, size)  # W2
        after = 0 if causal else width // 2
        self.reach = (width - 1 - after, after)
        for layer in (self.inner, self.outer):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    @override
    def forward(
        self, x: Float[Tensor, "batch source size"], mask: Bool[Tensor, "batch source"]
    ) -> Float[Tensor, "batch source size"]:
        gated = quiet_padding(F.glu(self.inner(x), dim=-1), mask).transpose(1, 2)
        convolved = self.depthwise(F.pad(gated, self.reach)).transpose(1, 2)
        return self.outer(F.silu(self.norm(convolved)))
