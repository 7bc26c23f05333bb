"""What every decoder offers to training and to search."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kochi.attention.products import linear
from kochi.decoders.mixture import Mixture
from kochi.decoders.written import Need, Written
from kochi.layers.embedding import Embedding
from kochi.memory import Memory


class Decoder(nn.Module, ABC):
    """Write target tokens one by one.

    Training calls ``forward`` on whole targets; search calls ``start`` and ``step``. Both give the
    same logits. All that a decoder remembers is in the state, which is a value: ``width`` beams of
    a sentence share its memory, ``reorder`` lets beams continue other beams and ``keep`` drops
    sentences.

    Args:
        embedding: Embeds the target tokens.
        feature_size: Width of the vectors that the output layer reads.
        tie_embeddings: Use the embedding's weight as the output layer's.

    Raises:
        ValueError: Tied weights of different widths.
    """

    output_weight: nn.Parameter
    output_bias: nn.Parameter

    def __init__(self, embedding: Embedding, feature_size: int, tie_embeddings: bool) -> None:
        super().__init__()
        vocabulary, embedding_size = embedding.weight.shape
        if tie_embeddings and embedding_size != feature_size:
            raise ValueError(
                f"tied embeddings need embedding_size = {feature_size} (the output layer's input), "
                f"got {embedding_size}"
            )
        self.embedding = embedding
        self.feature_size = feature_size
        weight = embedding.weight
        if not tie_embeddings:
            weight = nn.Parameter(torch.randn(vocabulary, feature_size) * feature_size**-0.5)
        self.output_weight = weight
        self.output_bias = nn.Parameter(torch.zeros(vocabulary))

    @abstractmethod
    def write(
        self, memory: Memory, inputs: Int[Tensor, "batch target"], need_alignment: Need = False
    ) -> Written:
        """Read whole targets; ``inputs`` start with the begin mark.

        Args:
            memory: What may be looked at.
            inputs: What has been written before each position.
            need_alignment: Also return where each position looked, in the last layer that looks at
                the memory, or in every layer.
        """

    def forward(
        self, memory: Memory, inputs: Int[Tensor, "batch target"]
    ) -> Float[Tensor, "batch target feature_size"] | Mixture:
        """Return features for whole targets."""
        return self.write(memory, inputs).features

    @abstractmethod
    def start(self, memory: Memory, width: int = 1, max_length: int = 256) -> Any:
        """Return the state before the first token, for ``width`` beams a sentence."""

    @abstractmethod
    def step(
        self, state: Any, tokens: Int[Tensor, "batch width"]
    ) -> tuple[Float[Tensor, "batch width vocabulary"], Any]:
        """Read one token a beam; return logits for the next one, and the next state.

        The caller may write over the logits.
        """

    @abstractmethod
    def reorder(self, state: Any, beams: Int[Tensor, "batch width"]) -> Any:
        """Let each new beam continue the old beam ``beams`` of its sentence."""

    @abstractmethod
    def keep(self, state: Any, rows: Int[Tensor, " kept"]) -> Any:
        """Keep only some sentences of the batch."""

    def alignment(
        self, memory: Memory, inputs: Int[Tensor, "batch target"]
    ) -> Float[Tensor, "batch target source"] | None:
        """Return where each target position looked, or None for a decoder that cannot look."""
        return self.write(memory, inputs, need_alignment=True).alignment

    def logits(
        self, features: Float[Tensor, "*rows feature_size"] | Mixture
    ) -> Float[Tensor, "*rows vocabulary"]:
        """Apply the output layer.

        Args:
            features: What the decoder made; of a `Mixture` the logits are log-probabilities.
        """
        if isinstance(features, Mixture):
            return features.log_probabilities(self.output_weight, self.output_bias)
        return linear(features, self.output_weight, self.output_bias)
