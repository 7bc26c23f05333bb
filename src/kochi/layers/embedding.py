"""Token embeddings with scaled initialisation and without a gradient for padding."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from typing_extensions import override

from kochi.layers.initial import normal

PAD = 0


class Embedding(nn.Module):
    """Look up a vector for each token and multiply it by the square root of its width.

    Vaswani et al. 2017, section 3.4: weights are initialised with standard deviation size^-0.5, so
    that the output layer can share them; the factor gives the vectors unit variance. Recurrent
    models also need it: without it a BiLSTM learns at half the pace.

    Args:
        vocabulary: Number of tokens; token 0 is padding and its vector is never used.
        size: Width of a vector.
    """

    def __init__(self, vocabulary: int, size: int) -> None:
        super().__init__()
        self.scale = size**0.5
        self.weight = nn.Parameter(normal(vocabulary, size, deviation=size**-0.5))

    @override
    def forward(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length size"]:
        return F.embedding(tokens, self.weight) * self.scale
