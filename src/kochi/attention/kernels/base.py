"""What every kernel is asked and what it answers."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.scores.base import Score
from kochi.attention.selections.base import Selection


@dataclass(frozen=True)
class Visible:
    """Which places may be seen.

    Args:
        mask: True where a query may attend; ``None``: nothing hidden but the triangle.
        triangle: Also hide the keys after the query, both counted from 0. Left to the kernel
            because some have a fast path for it.
    """

    mask: Bool[Tensor, "#batch 1 #target source"] | None = None
    triangle: bool = False

    def whole(
        self, target_length: int, source_length: int, device: torch.device
    ) -> Bool[Tensor, "#batch 1 #target source"] | None:
        """Return mask and triangle as one mask (``None``: everything is visible)."""
        if not self.triangle:
            return self.mask
        ones = torch.ones(target_length, source_length, dtype=torch.bool, device=device)
        triangle = ones.tril()[None, None]
        return triangle if self.mask is None else self.mask & triangle


EVERYTHING = Visible()


class Answer(NamedTuple):
    """The context and, where it was asked for, the alignment before dropout."""

    context: Tensor
    alignment: Tensor | None


class Kernel(Protocol):
    """Compute the context; query and keys come projected by the score."""

    def __call__(
        self,
        score: Score,
        selection: Selection,
        query: Float[Tensor, "batch heads target size"],
        keys: Float[Tensor, "batch heads source size"],
        values: Float[Tensor, "batch heads source value_size"],
        visible: Visible,
        dropout: float,
        need_alignment: bool,
    ) -> Answer:
        """Answer one call."""
        ...
