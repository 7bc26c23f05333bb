"""Greedy search along a hard monotonic walk, over a memory that still grows.

Raffel et al. 2017, section 2.2, https://arxiv.org/abs/1704.00784: a monotonic walk does not depend
on later positions than the one where it stops, so a token can be written as soon as that position
has arrived.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kochi.decoding.candidates import forbid_marks, log_probabilities_
from kochi.special_tokens import BOS, EOS


@runtime_checkable
class GrowingDecoder(Protocol):
    """A decoder with monotonic attention; see `kochi.decoding.StepDecoder` for ``step``."""

    def step(
        self, state: Any, tokens: Int[Tensor, "batch width"]
    ) -> tuple[Float[Tensor, "batch width vocabulary"], Any]:
        """Read one token; return logits for the next one, and the next state."""
        ...

    def standing(self, state: Any) -> int | None:
        """Return the position of the walk, or None if it has moved past the end."""
        ...

    def forget(self, state: Any) -> tuple[Any, int]:
        """Drop positions that no later step can attend to; return their number."""
        ...


class StreamedToken(NamedTuple):
    """A token with the position of the walk.

    Args:
        token: The token, possibly the end mark.
        position: Position of the walk in the whole memory; None past its end.
        log_probability: Log-probability of the token, in nats.
    """

    token: int
    position: int | None
    log_probability: float


@dataclass(frozen=True)
class StreamState:
    """The state of search between two calls of `advance`.

    Attributes:
        state: The decoder's state before the next token.
        token: The last token; the begin mark at first.
        count: Number of tokens written.
        forgotten: Number of positions of the memory that were dropped.
        ended: Whether the end mark was written or the maximum length reached.
    """

    state: Any
    token: int = BOS
    count: int = 0
    forgotten: int = 0
    ended: bool = False


@torch.inference_mode()
def advance(
    decoder: GrowingDecoder, search: StreamState, limit: int, last: bool
) -> tuple[list[StreamedToken], StreamState]:
    """Write all tokens whose position has already arrived.

    Over the whole memory, however it was split, these are the tokens of `kochi.decoding.greedy`.

    Args:
        decoder: The decoder, in eval mode.
        search: The state of search; it includes all positions that have arrived.
        limit: Maximum number of tokens, as far as it is known.
        last: Whether the memory is complete: a walk that finds no stop then moves past the end.
    """
    found: list[StreamedToken] = []
    while not search.ended:
        if search.count >= limit:
            return found, replace(search, ended=last)
        tokens = torch.tensor([[search.token]])
        logits, state = decoder.step(search.state, tokens)
        position = decoder.standing(state)
        if position is None and not last:
            return found, search
        log_probs = log_probabilities_(logits)
        forbid_marks(log_probs, end=False)
        token = int(log_probs.argmax())
        where = None if position is None else position + search.forgotten
        found.append(StreamedToken(token, where, float(log_probs[0, 0, token])))
        state, dropped = decoder.forget(state)
        search = StreamState(
            state, token, search.count + 1, search.forgotten + dropped, token == EOS
        )
    return found, search
