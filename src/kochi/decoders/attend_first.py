"""Base class of the recurrent decoders that attend first, then step."""

from abc import abstractmethod
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from kochi.attention import START, Attention, MultiHeadAttention
from kochi.decoders.decoder import Decoder
from kochi.decoders.output import DecoderOutput, Need, all_heads, concatenate_steps
from kochi.decoders.recurrent import (
    Bridge,
    RecurrentState,
    flat,
    input_columns,
    stack_steps,
    token_gates,
    unflat,
    widen,
)
from kochi.layers.dropout import Dropout
from kochi.layers.embedding import Embedding
from kochi.layers.recurrent import RecurrentStack
from kochi.memory import Memory
from kochi.products import linear_onto


class AttendFirstDecoder(Decoder):
    """Attend with the previous state, then step with the context.

    c_i = seen(attention(s_(i-1))), s_i = cell([E y_(i-1); c_i], s_(i-1)), and features of
    s_i, E y_(i-1) and c_i.

    Args:
        embedding: Embeds the target tokens.
        attention: A module made by ``kochi.attention.build`` with query_size = hidden_size.
        feature_size: Width of the features.
        summary_size: Width of the encoder's summary; None for a learned first state.
        cell: "lstm" or "gru".
        hidden_size: Width of the state.
        num_layers: Number of layers; the output of the top one is the query.
        dropout: Dropout rate of embeddings, between layers, and of features.
        tie_embeddings: Share the embedding's weight with the output layer.
    """

    def __init__(
        self,
        embedding: Embedding,
        attention: Attention | MultiHeadAttention,
        *,
        feature_size: int,
        summary_size: int | None,
        cell: str,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        tie_embeddings: bool,
    ) -> None:
        embedding_size = embedding.weight.shape[1]
        super().__init__(embedding, feature_size, tie_embeddings)
        self.attention = attention
        context_size = attention.context_size
        self.stack = RecurrentStack(
            cell, embedding_size + context_size, hidden_size, num_layers, dropout
        )
        self.bridge = Bridge(summary_size, self.stack)
        self.dropout = Dropout(dropout)

    @abstractmethod
    def seen(
        self,
        context: Float[Tensor, "*batch context_size"],
        query: Float[Tensor, "*batch hidden_size"],
    ) -> Float[Tensor, "*batch context_size"]:
        """Return the context as the cell receives it, for instance gated by the query."""

    @abstractmethod
    def features(
        self,
        output: Float[Tensor, "*batch hidden_size"],
        embedded: Float[Tensor, "*batch embedding_size"],
        context: Float[Tensor, "*batch context_size"],
    ) -> Float[Tensor, "*batch feature_size"]:
        """Return the features of steps, before dropout."""

    @override
    def write(
        self, memory: Memory, inputs: Int[Tensor, "batch target"], need_alignment: Need = False
    ) -> DecoderOutput:
        embedded = self.dropout(self.embedding(inputs))
        layers = self.bridge(memory.summary)
        projected = self.attention.project(memory.values, memory.mask)
        context_weight = input_columns(self.stack, embedded.shape[-1])[1].contiguous()
        output = layers[-1][0]
        outputs, contexts, alignments, draws, attention_state = [], [], [], [], START
        for gate in token_gates(self.stack, embedded).unbind(1):
            attended = self.attention.step(
                output.unsqueeze(1), projected, attention_state, need_alignment=bool(need_alignment)
            )
            attention_state = attended.state
            contexts.append(self.seen(attended.context.squeeze(1), output))
            output, layers = self.stack.step_from_gates(
                linear_onto(gate, contexts[-1], context_weight), layers
            )
            outputs.append(output)
            alignments.append(all_heads(attended))
            draws.append(attention_state.draws)
        features = self.features(torch.stack(outputs, 1), embedded, torch.stack(contexts, 1))
        return DecoderOutput(
            self.dropout(features), stack_steps(alignments), concatenate_steps(draws)
        )

    @override
    def start(self, memory: Memory, width: int = 1, max_length: int = 256) -> RecurrentState:
        layers = widen(self.bridge(memory.summary), width)
        projected = self.attention.project(memory.values, memory.mask)
        return RecurrentState(layers, layers[0][0, :, :, :0], memory, projected)

    @override
    def step(
        self,
        state: RecurrentState,
        tokens: Int[Tensor, "batch width"],
    ) -> tuple[Float[Tensor, "batch width vocabulary"], RecurrentState]:
        batch, width = tokens.shape
        embedded = self.embedding(tokens)
        assert state.projected is not None
        query = state.layers[-1][0]
        attended = self.attention.step(query, state.projected, state.attention_state)
        context = self.seen(attended.context, query)
        inputs = torch.cat([embedded, context], dim=-1).flatten(0, 1)
        output, layers = self.stack.step(inputs, flat(state.layers))
        features = self.features(output.unflatten(0, (batch, width)), embedded, context)
        return self.logits(self.dropout(features)), replace(
            state, layers=unflat(layers, batch, width), attention_state=attended.state
        )

    @override
    def reorder(self, state: RecurrentState, beams: Int[Tensor, "batch width"]) -> RecurrentState:
        return state.reorder(beams)

    @override
    def keep(self, state: RecurrentState, rows: Int[Tensor, " kept"]) -> RecurrentState:
        return state.keep(rows)
