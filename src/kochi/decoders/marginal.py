"""Luong's order with hard attention that is trained exactly, with the position summed out.

Deng, Kim, Chiu, Guo and Rush 2018, "Latent alignment and variational attention", section 2,
https://arxiv.org/abs/1807.03756, in the decoder of Luong, Pham and Manning 2015, section 3,
https://arxiv.org/abs/1508.04025.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from kochi.attention import Attention
from kochi.decoders.decoder import Decoder
from kochi.decoders.mixture import Mixture
from kochi.decoders.output import DecoderOutput, Need
from kochi.decoders.recurrent import Bridge, RecurrentState, flat, unflat, widen
from kochi.layers.dropout import Dropout
from kochi.layers.embedding import Embedding
from kochi.layers.recurrent import RecurrentStack
from kochi.memory import Memory
from kochi.products import Linear, linear


@dataclass(frozen=True)
class MarginalState:
    """State between two steps.

    Attributes:
        recurrent: The state of every recurrent decoder.
        of_positions: The part of the attentional vector that comes from each source position.
    """

    recurrent: RecurrentState
    of_positions: Float[Tensor, "batch source feature_size"]


class MarginalDecoder(Decoder):
    """Step, attend to one position with the new state; the probability sums over positions.

    h_i = cell(E y_(i-1), h_(i-1)), alignment_i = attention(h_i), a_i(s) = tanh(W [value_s; h_i])
    and p(y) = sum over s of alignment_i(s) softmax(output(a_i(s)))_y. It has the same parameters as
    `kochi.decoders.luong.LuongDecoder` without input feeding, which uses the mean of the values
    instead: the two differ in one line of the run file. The alignment is divided by its sum, which
    a window with a prior makes less than 1. Where everything is masked, the value is zero, as in
    the other decoders.

    The sum is exact because nothing later depends on the position: the next state depends only on
    the token. A recurrent score or scope uses the probabilities of earlier positions.

    Args:
        embedding: Embeds the target tokens.
        attention: A module with one head made by ``kochi.attention.build`` with query_size =
            hidden_size and the selection "marginal".
        summary_size: Width of the encoder's summary; None for a learned first state.
        cell: "lstm" or "gru".
        hidden_size: Width of the state.
        num_layers: Number of layers; the output of the top one is the query.
        dropout: Dropout rate of embeddings, between layers, and of features (see `Mixture`).
        tie_embeddings: Share the embedding's weight with the output layer.
    """

    def __init__(
        self,
        embedding: Embedding,
        attention: Attention,
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
        self.stack = RecurrentStack(cell, embedding_size, hidden_size, num_layers, dropout)
        self.bridge = Bridge(summary_size, self.stack)
        self.attentional_proj = Linear(attention.context_size + hidden_size, self.feature_size)  # W
        self.dropout = Dropout(dropout)

    @override
    def write(
        self, memory: Memory, inputs: Int[Tensor, "batch target"], need_alignment: Need = False
    ) -> DecoderOutput:
        embedded = self.dropout(self.embedding(inputs))
        projected = self.attention.project(memory.values, memory.mask)
        outputs = self.stack.sequence(embedded, self.bridge(memory.summary))
        attended = self.attention(outputs, projected, need_alignment=True)
        alignment = _shares(attended.alignment)
        mixture = self._mixture(outputs, self._of_positions(projected.values), alignment)
        return DecoderOutput(mixture, (alignment.unsqueeze(1),) if need_alignment else ())

    def _of_positions(
        self, values: Float[Tensor, "batch 1 source memory_size"]
    ) -> Float[Tensor, "batch source feature_size"]:
        return linear(values.squeeze(1), self._columns()[0])

    def _mixture(self, outputs: Tensor, of_positions: Tensor, alignment: Tensor) -> Mixture:
        of_target = linear(outputs, self._columns()[1], self.attentional_proj.bias)
        kept = None
        if self.training and self.dropout.rate:
            kept = self.dropout(torch.ones_like(of_target))
        nowhere = alignment.sum(-1, keepdim=True) == 0.0
        if nowhere.any():
            alignment = torch.cat([alignment, nowhere.to(alignment.dtype)], dim=-1)
            of_positions = F.pad(of_positions, (0, 0, 0, 1))
        return Mixture(of_target, of_positions, alignment, kept)

    def _columns(self) -> tuple[Tensor, Tensor]:
        """Split W into the columns of the value and those of the state."""
        weight, size = self.attentional_proj.weight, self.attention.context_size
        return weight[:, :size], weight[:, size:]

    @override
    def start(self, memory: Memory, width: int = 1, max_length: int = 256) -> MarginalState:
        layers = widen(self.bridge(memory.summary), width)
        projected = self.attention.project(memory.values, memory.mask)
        recurrent = RecurrentState(layers, layers[0][0, :, :, :0], memory, projected)
        return MarginalState(recurrent, self._of_positions(projected.values))

    @override
    def step(
        self,
        state: MarginalState,
        tokens: Int[Tensor, "batch width"],
    ) -> tuple[Float[Tensor, "batch width vocabulary"], MarginalState]:
        batch, width = tokens.shape
        before = state.recurrent
        output, layers = self.stack.step(self.embedding(tokens).flatten(0, 1), flat(before.layers))
        query = output.unflatten(0, (batch, width))
        assert before.projected is not None
        attended = self.attention.step(
            query, before.projected, before.attention_state, need_alignment=True
        )
        mixture = self._mixture(query, state.of_positions, _shares(attended.alignment))
        after = replace(before, layers=unflat(layers, batch, width), attention_state=attended.state)
        return self.logits(mixture), MarginalState(after, state.of_positions)

    @override
    def reorder(self, state: MarginalState, beams: Int[Tensor, "batch width"]) -> MarginalState:
        return MarginalState(state.recurrent.reorder(beams), state.of_positions)

    @override
    def keep(self, state: MarginalState, rows: Int[Tensor, " kept"]) -> MarginalState:
        return MarginalState(state.recurrent.keep(rows), state.of_positions.index_select(0, rows))


def _shares(
    alignment: Float[Tensor, "batch target source"] | None,
) -> Float[Tensor, "batch target source"]:
    """Divide each row by its sum, at least in float32; rows of zeros stay unchanged."""
    assert alignment is not None  # it was asked for
    wide = alignment.to(torch.promote_types(alignment.dtype, torch.float32))
    total = wide.sum(-1, keepdim=True)
    return wide / torch.where(total == 0.0, 1.0, total)
