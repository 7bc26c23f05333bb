"""The recurrent decoder in Luong's order: step, then attend.

Luong, Pham and Manning 2015, "Effective approaches to attention-based neural machine translation",
sections 3 and 3.3, https://arxiv.org/abs/1508.04025.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from kochi.attention import START, Attention, AttentionOutput, MultiHeadAttention, ProjectedMemory
from kochi.decoders.decoder import Decoder
from kochi.decoders.output import (
    DecoderOutput,
    Need,
    all_heads,
    concatenate_steps,
    layers_of,
    sum_layers,
)
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
from kochi.layers.recurrent import RecurrentStack, State
from kochi.memory import Memory
from kochi.products import Linear, linear_onto


class LuongDecoder(Decoder):
    """Step, attend with the new state, and combine both in an attentional vector.

    h_i = cell([E y_(i-1); a_(i-1)], h_(i-1)), c_i = attention(h_i), a_i = tanh(W [c_i; h_i])
    (equation 5). Without input feeding, a_(i-1) is not an input of the cell; training then runs the
    recurrent layers over the whole target at once and attends for all positions together.

    Args:
        embedding: Embeds the target tokens.
        attention: A module made by ``kochi.attention.build`` with query_size = hidden_size.
        summary_size: Width of the encoder's summary; None for a learned first state.
        cell: "lstm" or "gru".
        hidden_size: Width of the state.
        num_layers: Number of layers; the output of the top one is the query.
        dropout: Dropout rate of embeddings, between layers, and of features.
        tie_embeddings: Share the embedding's weight with the output layer.
        input_feeding: Feed the attentional vector to the next step (section 3.3).
    """

    def __init__(
        self,
        embedding: Embedding,
        attention: Attention | MultiHeadAttention,
        summary_size: int | None,
        cell: str,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        tie_embeddings: bool,
        *,
        input_feeding: bool = True,
    ) -> None:
        embedding_size = embedding.weight.shape[1]
        super().__init__(
            embedding, embedding_size if tie_embeddings else hidden_size, tie_embeddings
        )
        self.attention = attention
        self.feed_size = self.feature_size if input_feeding else 0
        self.stack = RecurrentStack(
            cell, embedding_size + self.feed_size, hidden_size, num_layers, dropout
        )
        self.bridge = Bridge(summary_size, self.stack)
        self.attentional_proj = Linear(attention.context_size + hidden_size, self.feature_size)  # W
        self.dropout = Dropout(dropout)

    @override
    def write(
        self, memory: Memory, inputs: Int[Tensor, "batch target"], need_alignment: Need = False
    ) -> DecoderOutput:
        embedded = self.dropout(self.embedding(inputs))
        layers = self.bridge(memory.summary)
        projected = self.attention.project(memory.values, memory.mask)
        if self.feed_size:
            return self._write_step_by_step(embedded, layers, projected, bool(need_alignment))
        outputs = self.stack.sequence(embedded, layers)
        attended = self.attention(outputs, projected, need_alignment=bool(need_alignment))
        features = self.dropout(self._vector(attended, outputs))
        alignment = layers_of([all_heads(attended)])
        return DecoderOutput(features, alignment, sum_layers([attended.state.draws]))

    def _write_step_by_step(
        self, embedded: Tensor, layers: State, projected: ProjectedMemory, need_alignment: bool
    ) -> DecoderOutput:
        gates = token_gates(self.stack, embedded).unbind(1)
        feed_weight = input_columns(self.stack, embedded.shape[-1])[1].contiguous()
        feed = embedded.new_zeros(len(embedded), self.feed_size)
        vectors, alignments, draws, attention_state = [], [], [], START
        for gate in gates:
            output, layers = self.stack.step_from_gates(
                linear_onto(gate, feed, feed_weight), layers
            )
            query = output.unsqueeze(1)
            attended = self.attention.step(
                query, projected, attention_state, need_alignment=need_alignment
            )
            attention_state = attended.state
            feed = self._vector(attended, query).squeeze(1)
            vectors.append(feed)
            alignments.append(all_heads(attended))
            draws.append(attention_state.draws)
        features = self.dropout(torch.stack(vectors, 1))
        return DecoderOutput(features, stack_steps(alignments), concatenate_steps(draws))

    def _vector(self, attended: AttentionOutput, outputs: Tensor) -> Tensor:
        return self.attentional_proj(torch.cat([attended.context, outputs], dim=-1)).tanh()

    @override
    def start(self, memory: Memory, width: int = 1, max_length: int = 256) -> RecurrentState:
        layers = widen(self.bridge(memory.summary), width)
        feed = memory.values.new_zeros(len(memory.values), width, self.feed_size)
        projected = self.attention.project(memory.values, memory.mask)
        return RecurrentState(layers, feed, memory, projected)

    @override
    def step(
        self,
        state: RecurrentState,
        tokens: Int[Tensor, "batch width"],
    ) -> tuple[Float[Tensor, "batch width vocabulary"], RecurrentState]:
        batch, width = tokens.shape
        inputs = torch.cat([self.embedding(tokens), state.feed], dim=-1).flatten(0, 1)
        output, layers = self.stack.step(inputs, flat(state.layers))
        query = output.unflatten(0, (batch, width))
        assert state.projected is not None
        attended = self.attention.step(query, state.projected, state.attention_state)
        vector = self._vector(attended, query)
        feed = vector if self.feed_size else state.feed
        layers = unflat(layers, batch, width)
        state = replace(state, layers=layers, feed=feed, attention_state=attended.state)
        return self.logits(vector), state

    @override
    def reorder(self, state: RecurrentState, beams: Int[Tensor, "batch width"]) -> RecurrentState:
        return state.reorder(beams)

    @override
    def keep(self, state: RecurrentState, rows: Int[Tensor, " kept"]) -> RecurrentState:
        return state.keep(rows)
