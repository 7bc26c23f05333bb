"""A recurrent decoder that generates output while its memory still grows.

It needs a monotonic attention that waits at the end of the memory: Raffel et al. 2017, section 2.2,
https://arxiv.org/abs/1704.00784.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kochi.attention import Attention, ProjectedMemory
from kochi.attention.history import Past
from kochi.attention.scopes import Global
from kochi.attention.scores import Location, LocationAware
from kochi.attention.selections import Chunkwise, Monotonic
from kochi.decoders.bahdanau import BahdanauDecoder
from kochi.decoders.luong import LuongDecoder
from kochi.decoders.recurrent import RecurrentState
from kochi.memory import Memory

WORTH_DROPPING = 64  # positions: dropping copies the remaining ones


class StreamingDecoder:
    """Run a decoder over a memory whose positions arrive one after the other.

    It shares the decoder's weights, in eval mode.

    Args:
        decoder: A recurrent decoder with one head, a monotonic attention (selection "monotonic" or
            "chunkwise", scope "global") and a learned first state.

    Raises:
        ValueError: The decoder needs the whole source; the message names the option.
    """

    def __init__(self, decoder: nn.Module) -> None:
        if not isinstance(decoder, BahdanauDecoder | LuongDecoder):
            raise ValueError("model.kind: only 'rnn' supports streaming")
        self.decoder = decoder
        self.attention = _walking(decoder.attention)
        if decoder.bridge.linear is not None:
            raise ValueError(
                "model.first_state = 'summary' needs the whole source: train with 'learned'"
            )
        score, selection = self.attention.score, self.attention.selection
        self._behind = score.filters.shape[-1] // 2 if isinstance(score, LocationAware) else 0
        if isinstance(selection, Chunkwise):
            self._behind = max(self._behind, selection.window)

    def start(self, like: Float[Tensor, "1 positions memory_size"]) -> RecurrentState:
        """Return the state before the first token, over no memory yet."""
        nothing = like[:, :0]
        mask = torch.ones(nothing.shape[:2], dtype=torch.bool, device=like.device)
        return self.decoder.start(Memory(nothing, mask, nothing.sum(1)))

    def grow(
        self, state: RecurrentState, values: Float[Tensor, "1 positions memory_size"]
    ) -> RecurrentState:
        """Append positions to the memory."""
        assert state.projected is not None
        return replace(state, projected=state.projected.append(self.attention.project(values)))

    def step(
        self, state: RecurrentState, tokens: Int[Tensor, "batch width"]
    ) -> tuple[Float[Tensor, "batch width vocabulary"], RecurrentState]:
        """Read one token; return logits for the next one, and the next state."""
        return self.decoder.step(state, tokens)

    def standing(self, state: RecurrentState) -> int | None:
        """Return the position of the walk; None if it has moved past the end."""
        past = state.attention_state.past
        assert past is not None
        stands = past.previous if past.standing is None else past.standing
        return int(stands.argmax()) if stands.numel() and stands.any() else None

    def forget(self, state: RecurrentState) -> tuple[RecurrentState, int]:
        """Drop positions too far behind the walk for any later step; return their number."""
        position, past, projected = (
            self.standing(state),
            state.attention_state.past,
            state.projected,
        )
        count = 0 if position is None else position - self._behind
        if count < WORTH_DROPPING:
            return state, 0
        assert past is not None and projected is not None
        attention_state = replace(state.attention_state, past=_without(past, count))
        return replace(
            state, projected=_behind(projected, count), attention_state=attention_state
        ), count


def _walking(attention: nn.Module) -> Attention:
    if not isinstance(attention, Attention):
        raise ValueError("model.attention.num_heads: streaming needs one head")
    if not isinstance(attention.selection, Monotonic | Chunkwise):
        raise ValueError(
            "model.attention.selection: only 'monotonic' and 'chunkwise' support streaming; the "
            "others attend to the whole source"
        )
    if not isinstance(attention.scope, Global) or attention.relative is not None:
        raise ValueError("model.attention: streaming needs scope 'global' and no relative term")
    if isinstance(attention.score, Location):
        raise ValueError("model.attention.score: 'location' needs a source of known length")
    return attention


def _without(past: Past, count: int) -> Past:
    standing = None if past.standing is None else past.standing[..., count:]
    return Past(past.previous[..., count:], past.accumulated[..., count:], standing)


def _behind(projected: ProjectedMemory, count: int) -> ProjectedMemory:
    keys = projected.keys[:, :, count:]
    shared = projected.values is projected.keys
    return ProjectedMemory(
        keys,
        keys if shared else projected.values[:, :, count:],
        None if projected.mask is None else projected.mask[:, count:],
        None if projected.finite is None else projected.finite[:, count:],
    )
