"""Base class of decoders, for training and search."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kochi.decoders.mixture import Mixture
from kochi.decoders.output import DecoderOutput, Need
from kochi.layers.embedding import Embedding
from kochi.layers.initial import normal
from kochi.memory import Memory
from kochi.products import linear


class Decoder(nn.Module, ABC):
    """Generate target tokens one by one.

    Training calls ``forward`` on whole targets; search calls ``start`` and ``step``. Both compute
    the same logits. The state is an immutable value that holds everything a decoder remembers:
    ``width`` beams of a sentence share its memory, ``reorder`` makes beams continue other beams,
    and ``keep`` drops sentences.

    Args:
        embedding: Embeds the target tokens.
        feature_size: Width of the input of the output layer.
        tie_embeddings: Share the embedding's weight with the output layer.

    Raises:
        ValueError: The embedding and the output layer have different widths but are tied.
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
            weight = nn.Parameter(normal(vocabulary, feature_size, deviation=feature_size**-0.5))
        self.output_weight = weight
        self.output_bias = nn.Parameter(torch.zeros(vocabulary))

    @abstractmethod
    def write(
        self, memory: Memory, inputs: Int[Tensor, "batch target"], need_alignment: Need = False
    ) -> DecoderOutput:
        """Read whole targets; ``inputs`` start with the begin mark.

        Args:
            memory: The memory to attend to.
            inputs: The token before each target position.
            need_alignment: Also return the alignments of the last layer that attends to the memory,
                or of every layer.
        """

    def forward(
        self, memory: Memory, inputs: Int[Tensor, "batch target"]
    ) -> Float[Tensor, "batch target feature_size"] | Mixture:
        """Return features for whole targets."""
        return self.write(memory, inputs).features

    @abstractmethod
    def start(self, memory: Memory, width: int = 1, max_length: int = 256) -> Any:
        """Return the state before the first token, for ``width`` beams per sentence."""

    @abstractmethod
    def step(
        self, state: Any, tokens: Int[Tensor, "batch width"]
    ) -> tuple[Float[Tensor, "batch width vocabulary"], Any]:
        """Read one token per beam; return logits for the next one, and the next state.

        The caller may overwrite the logits.
        """

    @abstractmethod
    def reorder(self, state: Any, beams: Int[Tensor, "batch width"]) -> Any:
        """Make each new beam continue the old beam ``beams`` of its sentence."""

    @abstractmethod
    def keep(self, state: Any, rows: Int[Tensor, " kept"]) -> Any:
        """Keep only the given sentences of the batch."""

    def alignment(
        self, memory: Memory, inputs: Int[Tensor, "batch target"]
    ) -> Float[Tensor, "batch target source"] | None:
        """Return the alignment of each target position, or None for a decoder without attention."""
        return self.write(memory, inputs, need_alignment=True).alignment

    def logits(
        self, features: Float[Tensor, "*rows feature_size"] | Mixture
    ) -> Float[Tensor, "*rows vocabulary"]:
        """Apply the output layer.

        Args:
            features: The decoder's features; for a `Mixture` the logits are log-probabilities.
        """
        if isinstance(features, Mixture):
            return features.log_probabilities(self.output_weight, self.output_bias)
        return linear(features, self.output_weight, self.output_bias)
