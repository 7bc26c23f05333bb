"""The position-wise feed-forward layer of a Transformer.

Vaswani et al. 2017, section 3.3, https://arxiv.org/abs/1706.03762.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from kochi.layers.dropout import Dropout
from kochi.products import Linear
from kochi.tables import Norm

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}


class FeedForward(nn.Module):
    """W2 activation(W1 x + b1) + b2, with dropout after the activation."""

    def __init__(self, size: int, hidden_size: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.inner = Linear(size, hidden_size)  # W1
        self.outer = Linear(hidden_size, size)  # W2
        self.activation = ACTIVATIONS[activation]
        self.dropout = Dropout(dropout)
        nn.init.xavier_uniform_(self.inner.weight)
        nn.init.xavier_uniform_(self.outer.weight)
        nn.init.zeros_(self.inner.bias)
        nn.init.zeros_(self.outer.bias)

    @override
    def forward(self, x: Float[Tensor, "batch length size"]) -> Float[Tensor, "batch length size"]:
        return self.outer(self.dropout(self.activation(self.inner(x))))


class Residual(nn.Module):
    """A residual connection around a sub-layer, with layer norm before ("pre") or after ("post").

    Post-norm: Vaswani et al. 2017, section 3.1. Pre-norm: Xiong et al. 2020, "On layer
    normalization in the Transformer architecture", https://arxiv.org/abs/2002.04745.
    Callers write ``x = residual.after(x, sublayer(residual.before(x)))``.
    """

    def __init__(self, size: int, norm: str, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.pre = norm == "pre"
        self.dropout = Dropout(dropout)

    def before(self, x: Float[Tensor, "batch length size"]) -> Float[Tensor, "batch length size"]:
        """Return the sub-layer's input."""
        return self.norm(x) if self.pre else x

    def after(
        self, x: Float[Tensor, "batch length size"], made: Float[Tensor, "batch length size"]
    ) -> Float[Tensor, "batch length size"]:
        """Add the sub-layer's output."""
        x = x + self.dropout(made)
        return x if self.pre else self.norm(x)


def last_norm(norm: Norm, size: int) -> nn.Module:
    """Build the norm of the last layer's output; the identity if each layer normalises its own."""
    return nn.LayerNorm(size) if norm == "pre" else nn.Identity()
