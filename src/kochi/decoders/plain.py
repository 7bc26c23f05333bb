"""The plain decoder, which sees the source only as one fixed-size vector.

Sutskever et al. 2014, https://arxiv.org/abs/1409.3215 (the vector starts the state); Cho et al.
2014, https://arxiv.org/abs/1406.1078 (the vector is also an input of every step).
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from kochi.decoders.decoder import Decoder
from kochi.decoders.output import DecoderOutput, Need
from kochi.decoders.recurrent import Bridge, RecurrentState, flat, unflat, widen
from kochi.layers.dropout import Dropout
from kochi.layers.embedding import Embedding
from kochi.layers.recurrent import RecurrentStack
from kochi.memory import Memory
from kochi.products import Linear


class PlainDecoder(Decoder):
    """s_i = cell([E y_(i-1); summary], s_(i-1)); features_i = tanh(W s_i).

    Args:
        embedding: Embeds the target tokens.
        summary_size: Width of the encoder's summary.
        cell: "lstm" or "gru".
        hidden_size: Width of the state.
        num_layers: Number of layers.
        dropout: Dropout rate of embeddings, between layers, and of features.
        tie_embeddings: Share the embedding's weight with the output layer.
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        summary_size: int,
        cell: str,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        tie_embeddings: bool,
    ) -> None:
        embedding_size = embedding.weight.shape[1]
        super().__init__(
            embedding, embedding_size if tie_embeddings else hidden_size, tie_embeddings
        )
        self.stack = RecurrentStack(
            cell, embedding_size + summary_size, hidden_size, num_layers, dropout
        )
        self.bridge = Bridge(summary_size, self.stack)
        self.feature_proj = Linear(hidden_size, self.feature_size)  # W
        self.dropout = Dropout(dropout)

    @override
    def write(
        self, memory: Memory, inputs: Int[Tensor, "batch target"], need_alignment: Need = False
    ) -> DecoderOutput:
        embedded = self.dropout(self.embedding(inputs))
        summary = memory.summary.unsqueeze(1).expand(-1, inputs.shape[1], -1)
        outputs = self.stack.sequence(
            torch.cat([embedded, summary], dim=-1), self.bridge(memory.summary)
        )
        return DecoderOutput(self.dropout(self.feature_proj(outputs).tanh()))

    @override
    def start(self, memory: Memory, width: int = 1, max_length: int = 256) -> RecurrentState:
        layers = widen(self.bridge(memory.summary), width)
        return RecurrentState(layers, layers[0][0, :, :, :0], memory, None)

    @override
    def step(
        self,
        state: RecurrentState,
        tokens: Int[Tensor, "batch width"],
    ) -> tuple[Float[Tensor, "batch width vocabulary"], RecurrentState]:
        batch, width = tokens.shape
        summary = state.memory.summary.unsqueeze(1).expand(-1, width, -1)
        inputs = torch.cat([self.embedding(tokens), summary], dim=-1).flatten(0, 1)
        output, layers = self.stack.step(inputs, flat(state.layers))
        features = self.feature_proj(output).tanh().unflatten(0, (batch, width))
        return self.logits(features), replace(state, layers=unflat(layers, batch, width))

    @override
    def reorder(self, state: RecurrentState, beams: Int[Tensor, "batch width"]) -> RecurrentState:
        return state.reorder(beams)

    @override
    def keep(self, state: RecurrentState, rows: Int[Tensor, " kept"]) -> RecurrentState:
        return state.keep(rows)
