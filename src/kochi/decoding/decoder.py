"""The interface of decoders that search needs."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from kochi.memory import Memory


@runtime_checkable
class StepDecoder(Protocol):
    """A decoder that reads one token at a time. Its state is opaque to search.

    All beams of a sentence share its memory; the beams are the second axis of every tensor.
    """

    def start(self, memory: Memory, width: int = 1, max_length: int = 256) -> Any:
        """Return the state before the first step, for at most ``max_length`` steps."""
        ...

    def step(
        self, state: Any, tokens: Int[Tensor, "batch width"]
    ) -> tuple[Float[Tensor, "batch width vocabulary"], Any]:
        """Read one token per beam; return logits for the next one, and the next state.

        Search overwrites the logits: the decoder must not keep them.
        """
        ...

    def reorder(self, state: Any, beams: Int[Tensor, "batch new_width"]) -> Any:
        """Make each new beam continue the old beam ``beams`` of its sentence."""
        ...

    def keep(self, state: Any, rows: Int[Tensor, " kept"]) -> Any:
        """Keep only the given sentences of the batch."""
        ...
