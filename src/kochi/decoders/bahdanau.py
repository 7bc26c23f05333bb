"""The recurrent decoder in Bahdanau's order: attend, then step.

Bahdanau, Cho and Bengio 2015, "Neural machine translation by jointly learning to align and
translate", section 3.1 and appendix A.2.2, https://arxiv.org/abs/1409.0473.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from kochi.attention import START, Attention, MultiHeadAttention
from kochi.attention.products import Linear, linear_onto
from kochi.decoders.decoder import Decoder
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
from kochi.decoders.written import Need, Written, every_head, one_after_the_other
from kochi.layers.dropout import Dropout
from kochi.layers.embedding import Embedding
from kochi.layers.recurrent import RecurrentStack
from kochi.memory import Memory


class BahdanauDecoder(Decoder):
    """Look with the previous state, then step with what was seen.

    c_i = attention(s_(i-1)), s_i = cell([E y_(i-1); c_i], s_(i-1)), and features
    t_i = tanh(W [s_i; E y_(i-1); c_i]). The paper's output looks from s_(i-1) and takes a maxout;
    here the new state and a tanh stand in their place.

    Args:
        embedding: Embeds the target tokens.
        attention: A module made by ``kochi.attention.build`` with query_size = hidden_size.
        summary_size: Width of the encoder's summary; None: the first state is learned alone.
        cell: "lstm" or "gru".
        hidden_size: Width of the state.
        num_layers: Number of layers; the top one's output is the query.
        dropout: Rate on embeddings, between layers and on features.
        tie_embeddings: Use the embedding's weight as the output layer's.
    """

    def __init__(
        self,
        embedding: Embedding,
        attention: Attention | MultiHeadAttention,
        *,
        summary_size: int | None,
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
        self.attention = attention
        context_size = attention.context_size
        self.stack = RecurrentStack(
            cell, embedding_size + context_size, hidden_size, num_layers, dropout
        )
        self.bridge = Bridge(summary_size, self.stack)
        self.feature_proj = Linear(
            hidden_size + embedding_size + context_size, self.feature_size
        )  # W
        self.dropout = Dropout(dropout)

    @override
    def write(
        self, memory: Memory, inputs: Int[Tensor, "batch target"], need_alignment: Need = False
    ) -> Written:
        embedded = self.dropout(self.embedding(inputs))
        layers = self.bridge(memory.summary)
        projected = self.attention.project(memory.values, memory.mask)
        context_weight = input_columns(self.stack, embedded.shape[-1])[1].contiguous()
        output = layers[-1][0]
        outputs, contexts, alignments, draws, looked = [], [], [], [], START
        for gate in token_gates(self.stack, embedded).unbind(1):
            readout = self.attention.step(
                output.unsqueeze(1), projected, looked, need_alignment=bool(need_alignment)
            )
            looked = readout.state
            contexts.append(readout.context.squeeze(1))
            output, layers = self.stack.step_from_gates(
                linear_onto(gate, contexts[-1], context_weight), layers
            )
            outputs.append(output)
            alignments.append(every_head(readout))
            draws.append(looked.draws)
        features = self._features(torch.stack(outputs, 1), embedded, torch.stack(contexts, 1))
        return Written(features, stack_steps(alignments), one_after_the_other(draws))

    def _features(self, output: Tensor, embedded: Tensor, context: Tensor) -> Tensor:
        joined = torch.cat([output, embedded, context], dim=-1)
        return self.dropout(self.feature_proj(joined).tanh())

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
        readout = self.attention.step(state.layers[-1][0], state.projected, state.looked)
        context = readout.context
        inputs = torch.cat([embedded, context], dim=-1).flatten(0, 1)
        output, layers = self.stack.step(inputs, flat(state.layers))
        features = self._features(output.unflatten(0, (batch, width)), embedded, context)
        return self.logits(features), replace(
            state, layers=unflat(layers, batch, width), looked=readout.state
        )

    @override
    def reorder(self, state: RecurrentState, beams: Int[Tensor, "batch width"]) -> RecurrentState:
        return state.reorder(beams)

    @override
    def keep(self, state: RecurrentState, rows: Int[Tensor, " kept"]) -> RecurrentState:
        return state.keep(rows)
