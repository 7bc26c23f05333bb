"""The Transformer's decoder.

Vaswani et al. 2017, "Attention is all you need", sections 3.1 to 3.5,
https://arxiv.org/abs/1706.03762.
"""

from dataclasses import dataclass, replace
from typing import cast

from jaxtyping import Float, Int
from torch import Tensor, nn
from typing_extensions import override

from kochi.attention import (
    START,
    AttentionMask,
    AttentionOutput,
    AttentionState,
    Joined,
    MultiHeadAttention,
    ProjectedMemory,
)
from kochi.decoders.cache import Cache
from kochi.decoders.decoder import Decoder
from kochi.decoders.output import DecoderOutput, Need, all_heads, layers_of, sum_layers
from kochi.layers.dropout import Dropout
from kochi.layers.embedding import Embedding
from kochi.layers.feedforward import FeedForward, Residual
from kochi.memory import Memory


@dataclass(frozen=True)
class TransformerState:
    """State between two steps.

    Attributes:
        position: Number of tokens read so far.
        cache: Keys and values of the tokens read so far.
        projected: The memory as projected by each layer's attention.
        attention_states: The state of each layer's attention to the memory.
        joined: The concatenated weights of each layer's self-attention.
    """

    position: int
    cache: Cache
    projected: tuple[ProjectedMemory, ...]
    attention_states: tuple[AttentionState, ...]
    joined: tuple[Joined | None, ...]


class TransformerDecoder(Decoder):
    """Layers of causal self-attention, attention to the memory, and feed-forward.

    Args:
        embedding: Embeds the target tokens; its width is the width of the model.
        positions: Adds positions to the embeddings; None if attention uses rotary positions.
        layers: The layers.
        norm: Normalises the output of the last layer (pre-norm), or the identity.
        dropout: Dropout rate of the embeddings.
        tie_embeddings: Share the embedding's weight with the output layer.
    """

    def __init__(
        self,
        embedding: Embedding,
        positions: nn.Module | None,
        layers: list["TransformerDecoderLayer"],
        norm: nn.Module,
        *,
        dropout: float,
        tie_embeddings: bool,
    ) -> None:
        super().__init__(embedding, embedding.weight.shape[1], tie_embeddings)
        self.positions = positions
        self.layers = nn.ModuleList(layers)
        self.norm = norm
        self.dropout = Dropout(dropout)

    @property
    def blocks(self) -> list["TransformerDecoderLayer"]:
        """The layers, first to last."""
        return cast(list[TransformerDecoderLayer], list(self.layers))

    @override
    def write(
        self, memory: Memory, inputs: Int[Tensor, "batch target"], need_alignment: Need = False
    ) -> DecoderOutput:
        x = self._embed(inputs, 0)
        alignments, draws = [], []
        for layer in self.blocks:
            projected = layer.attention.project(memory.values, memory.mask)
            last = layer is self.blocks[-1]
            wanted = need_alignment == "every layer" or (last and need_alignment is True)
            x, attended = layer(x, projected, need_alignment=wanted)
            alignments.append(all_heads(attended))
            draws.append(attended.state.draws)
        return DecoderOutput(self.norm(x), layers_of(alignments), sum_layers(draws))

    @override
    def start(self, memory: Memory, width: int = 1, max_length: int = 256) -> TransformerState:
        first = self.blocks[0].self_attention
        cache = Cache.empty(
            len(memory.values), width, len(self.blocks), first.num_heads, memory.values
        )
        projected = tuple(
            layer.attention.project(memory.values, memory.mask).contiguous()
            for layer in self.blocks
        )
        joined = tuple(layer.self_attention.join() for layer in self.blocks)
        return TransformerState(0, cache, projected, (START,) * len(projected), joined)

    @override
    def step(
        self,
        state: TransformerState,
        tokens: Int[Tensor, "batch width"],
    ) -> tuple[Float[Tensor, "batch width vocabulary"], TransformerState]:
        x = self.embedding(tokens)
        if self.positions is not None:
            x = self.positions(x.flatten(0, 1).unsqueeze(1), state.position).view_as(x)
        x = self.dropout(x)
        cache = state.cache.advance(tokens.shape[1], state.position)
        past = self._past(tokens.shape[1], state.position, cache)
        attention_states = []
        for index, layer in enumerate(self.blocks):
            x, after = layer.step(x, state, past, index)
            attention_states.append(after)
        state = replace(
            state,
            position=state.position + 1,
            cache=cache,
            attention_states=tuple(attention_states),
        )
        return self.logits(self.norm(x)), state

    @override
    def reorder(
        self, state: TransformerState, beams: Int[Tensor, "batch width"]
    ) -> TransformerState:
        attention_states = tuple(one.reorder(beams) for one in state.attention_states)
        return replace(state, cache=state.cache.reorder(beams), attention_states=attention_states)

    @override
    def keep(self, state: TransformerState, rows: Int[Tensor, " kept"]) -> TransformerState:
        projected = tuple(one.rows(rows) for one in state.projected)
        attention_states = tuple(one.keep(rows) for one in state.attention_states)
        return replace(
            state,
            cache=state.cache.keep(rows),
            projected=projected,
            attention_states=attention_states,
        )

    def _past(self, width: int, position: int, cache: Cache) -> "_Past":
        """Compute the slots each beam may attend to, once for all layers: they share a scope."""
        mask = cache.mask()
        slots = None if mask is None else cache.slot_positions
        attention = self.blocks[0].self_attention
        visible = None
        if not attention.parts.needs_query:
            visible = attention.visible(width, cache.read(0), mask, 0, position, slots)
        return _Past(position, cache, mask, slots, visible)

    def _embed(self, inputs: Tensor, start: int) -> Tensor:
        x = self.embedding(inputs)
        if self.positions is not None:
            x = self.positions(x, start)
        return self.dropout(x)


@dataclass(frozen=True)
class _Past:
    """The earlier outputs that the beams of one step may attend to."""

    position: int
    cache: Cache
    mask: Tensor | None
    slot_positions: Tensor | None
    visible: AttentionMask | None


class TransformerDecoderLayer(nn.Module):
    """Self-attention, attention to the memory, then feed-forward, with residuals and norms.

    Args:
        self_attention: Self-attention of the target, with a causal scope.
        attention: Attention from the target to the memory.
        feedforward: The position-wise feed-forward layer.
        norm: "pre" or "post".
        dropout: Dropout rate of each residual branch.
    """

    def __init__(
        self,
        self_attention: MultiHeadAttention,
        attention: MultiHeadAttention,
        feedforward: FeedForward,
        *,
        norm: str,
        dropout: float,
    ) -> None:
        super().__init__()
        size = self_attention.context_size
        self.self_attention = self_attention
        self.attention = attention
        self.feedforward = feedforward
        self.self_residual = Residual(size, norm, dropout)
        self.attention_residual = Residual(size, norm, dropout)
        self.feedforward_residual = Residual(size, norm, dropout)

    @override
    def forward(
        self,
        x: Float[Tensor, "batch target size"],
        projected: ProjectedMemory,
        need_alignment: bool = False,
    ) -> tuple[Float[Tensor, "batch target size"], AttentionOutput]:
        """Return the input of the next layer and the output of the attention to the memory."""
        x = self._self_attend(x)
        query = self.attention_residual.before(x)
        attended = self.attention(query, projected, need_alignment=need_alignment)
        return self._feed_forward(x, attended.context), attended

    def step(
        self,
        x: Float[Tensor, "batch width size"],
        state: TransformerState,
        past: _Past,
        index: int,
    ) -> tuple[Float[Tensor, "batch width size"], AttentionState]:
        """Read one token per beam and write the new keys and values to the cache."""
        query, new = self.self_attention.project_self(
            self.self_residual.before(x), positions=past.position, joined=state.joined[index]
        )
        seen = self.self_attention.attend_heads(
            query,
            past.cache.write(index, new),
            past.mask,
            query_positions=past.position,
            key_positions=past.slot_positions,
            visible=past.visible,
        )
        x = self.self_residual.after(x, seen.context)
        query = self.attention_residual.before(x)
        seen = self.attention.step(query, state.projected[index], state.attention_states[index])
        return self._feed_forward(x, seen.context), seen.state

    def _self_attend(self, x: Tensor) -> Tensor:
        query, projected = self.self_attention.project_self(self.self_residual.before(x))
        return self.self_residual.after(
            x, self.self_attention.attend_heads(query, projected).context
        )

    def _feed_forward(self, x: Tensor, context: Tensor) -> Tensor:
        x = self.attention_residual.after(x, context)
        return self.feedforward_residual.after(
            x, self.feedforward(self.feedforward_residual.before(x))
        )
