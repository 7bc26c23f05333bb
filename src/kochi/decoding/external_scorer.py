"""What may score the beginnings of answers beside a decoder."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from kochi.memory import Memory


@runtime_checkable
class ExternalScorer(Protocol):
    """A second opinion that beam search asks at every step."""

    def start(self, memory: Memory) -> "JointState":
        """Return what is known of the empty beginnings, one a sentence."""
        ...


@runtime_checkable
class JointState(Protocol):
    """What the second opinion knows of the live beginnings of a batch; a value, never changed."""

    def join(
        self, log_probs: Float[Tensor, "batch width vocabulary"]
    ) -> Float[Tensor, "batch width vocabulary"]:
        """Return the joint log-probabilities of the next token, never above 0.

        Args:
            log_probs: The decoder's, which may be overwritten.
        """
        ...

    def follow(
        self, parents: Int[Tensor, "batch new_width"], tokens: Int[Tensor, "batch new_width"]
    ) -> "JointState":
        """Let each new beginning continue that of an old beam with a token."""
        ...

    def keep(self, rows: Int[Tensor, " kept"]) -> "JointState":
        """Keep only some sentences of the batch."""
        ...
