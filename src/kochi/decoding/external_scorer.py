"""The interface of external scorers, which score prefixes together with a decoder."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from kochi.memory import Memory


@runtime_checkable
class ExternalScorer(Protocol):
    """A scorer that beam search combines with the decoder at every step."""

    def start(self, memory: Memory) -> "JointState":
        """Return the state of the empty prefixes, one per sentence."""
        ...


@runtime_checkable
class JointState(Protocol):
    """The scorer's immutable state for the live prefixes of a batch."""

    def join(
        self, log_probs: Float[Tensor, "batch width vocabulary"]
    ) -> Float[Tensor, "batch width vocabulary"]:
        """Return the joint log-probabilities of the next token, never above 0.

        Args:
            log_probs: The decoder's log-probabilities, which may be overwritten.
        """
        ...

    def follow(
        self, parents: Int[Tensor, "batch new_width"], tokens: Int[Tensor, "batch new_width"]
    ) -> "JointState":
        """Extend the prefixes of old beams by one token each."""
        ...

    def keep(self, rows: Int[Tensor, " kept"]) -> "JointState":
        """Keep only the given sentences of the batch."""
        ...
