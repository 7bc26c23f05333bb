"""Token embeddings that start at the right size and do not learn the padding."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from typing_extensions import override

PAD = 0


class Embedding(nn.Module):
    """Look up a vector for each token, times ``scale``.

    Vaswani et al. 2017, section 3.4: weights start at standard deviation size^-0.5 and are scaled
    by size^0.5, so that the same weights can serve as the output layer.

    Args:
        vocabulary: Number of tokens; token 0 is padding and its vector is never used.
        size: Width of a vector.
        scale: Factor on the vectors.
    """

    def __init__(self, vocabulary: int, size: int, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.randn(vocabulary, size) * size**-0.5)

    @override
    def forward(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length size"]:
        vectors = F.embedding(tokens, self.weight)
        return vectors if self.scale == 1.0 else vectors * self.scale
