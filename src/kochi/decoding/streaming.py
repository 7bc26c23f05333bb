"""Greedy search along a hard walk, over a memory that still grows.

Raffel et al. 2017, section 2.2, https://arxiv.org/abs/1704.00784: a walk that never turns back
needs nothing of what lies behind the place where it stops, so that a token can be written as soon
as that place is there.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kochi.decoding.candidates import forbid_marks, log_probabilities_
from kochi.decoding.decoder import BOS, EOS


@runtime_checkable
class WalkingDecoder(Protocol):
    """A decoder whose attention walks; see `kochi.decoding.StepDecoder` for ``step``."""

    def step(
        self, state: Any, tokens: Int[Tensor, "batch width"]
    ) -> tuple[Float[Tensor, "batch width vocabulary"], Any]:
        """Read one token; return logits for the next one, and the next state."""
        ...

    def standing(self, state: Any) -> int | None:
        """Return the place where the walk stands, or None: it has walked off the end."""
        ...

    def forget(self, state: Any) -> tuple[Any, int]:
        """Drop places that no step looks at any more; return how many."""
        ...


class Written(NamedTuple):
    """A token, and why.

    Args:
        token: Its number; the end mark too.
        place: Where the walk stood, counted over the whole memory; None: off its end.
        log_probability: Nats.
    """

    token: int
    place: int | None
    log_probability: float


@dataclass(frozen=True)
class Walk:
    """Where search stands between two calls of `walk_on`.

    Attributes:
        state: The decoder's, before the next token.
        token: What was written last; the begin mark at first.
        count: How many tokens were written.
        forgotten: How many places of the memory were dropped.
        ended: The end mark was written, or the longest answer.
    """

    state: Any
    token: int = BOS
    count: int = 0
    forgotten: int = 0
    ended: bool = False


@torch.inference_mode()
def walk_on(
    decoder: WalkingDecoder, walk: Walk, limit: int, last: bool
) -> tuple[list[Written], Walk]:
    """Write all tokens whose place is there already.

    Over the whole memory, however it came, these are the tokens of `kochi.decoding.greedy`.

    Args:
        decoder: In eval mode.
        walk: Where search stands; its state knows all places that have come.
        limit: Most tokens an answer may have, as far as is known.
        last: The memory is complete: a walk that finds no place walks off the end.
    """
    found: list[Written] = []
    while not walk.ended:
        if walk.count >= limit:
            return found, replace(walk, ended=last)
        tokens = torch.tensor([[walk.token]])
        logits, state = decoder.step(walk.state, tokens)
        place = decoder.standing(state)
        if place is None and not last:
            return found, walk
        log_probs = log_probabilities_(logits)
        forbid_marks(log_probs, end=False)
        token = int(log_probs.argmax())
        where = None if place is None else place + walk.forgotten
        found.append(Written(token, where, float(log_probs[0, 0, token])))
        state, dropped = decoder.forget(state)
        walk = Walk(state, token, walk.count + 1, walk.forgotten + dropped, token == EOS)
    return found, walk
