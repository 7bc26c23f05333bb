"""Alignments of earlier queries, for recurrent components."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Past:
    """Alignments of the earlier queries; before the first query there is none (``None``).

    Args:
        previous: Alignment of the previous query.
        accumulated: Sum of all alignments so far.
        standing: Distribution over the position of a monotonic walk, where it differs from the
            alignment.
    """

    previous: Float[Tensor, "batch heads target source"]
    accumulated: Float[Tensor, "batch heads target source"]
    standing: Float[Tensor, "batch heads target source"] | None = None

    @property
    def position(self) -> Float[Tensor, "batch heads target source"]:
        """The distribution over the position of the walk."""
        return self.previous if self.standing is None else self.standing

    def reorder(self, beams: Int[Tensor, "batch new_width"]) -> "Past":
        """Select, for each new beam, the old beam of the same sentence that it continues."""
        batch, heads, _, source = self.previous.shape
        index = beams[:, None, :, None].expand(batch, heads, -1, source)
        standing = None if self.standing is None else self.standing.gather(2, index)
        return Past(self.previous.gather(2, index), self.accumulated.gather(2, index), standing)

    def keep(self, rows: Int[Tensor, " kept"]) -> "Past":
        """Keep only the given rows of the batch."""
        standing = None if self.standing is None else self.standing.index_select(0, rows)
        previous = self.previous.index_select(0, rows)
        return Past(previous, self.accumulated.index_select(0, rows), standing)

    def over(self, source_length: int) -> "Past":
        """Extend to a longer memory, with zeros at its new positions.

        >>> import torch
        >>> past = Past(*torch.ones(3, 1, 1, 1, 2)).over(3)
        >>> past.previous.tolist(), past.standing.tolist()
        ([[[[1.0, 1.0, 0.0]]]], [[[[1.0, 1.0, 0.0]]]])

        Raises:
            ValueError: The memory is shorter than before.
        """
        new = source_length - self.previous.shape[3]
        if new == 0:
            return self
        if new < 0:
            raise ValueError(
                f"state: got alignments over {self.previous.shape[3]} positions, but the memory "
                f"has only {source_length}; a memory may grow, not shrink"
            )
        standing = None if self.standing is None else F.pad(self.standing, (0, new))
        return Past(F.pad(self.previous, (0, new)), F.pad(self.accumulated, (0, new)), standing)


torch.export.register_dataclass(Past, serialized_type_name="kochi.Past")


def then(
    past: Past | None,
    alignment: Float[Tensor, "batch heads target source"],
    standing: Float[Tensor, "batch heads target source"] | None = None,
) -> Past:
    """Return the past after one more query.

    >>> import torch
    >>> alignment = torch.tensor([[[[0.25, 0.75]]]])
    >>> past = then(then(None, alignment), alignment)
    >>> past.previous.tolist(), past.accumulated.tolist()
    ([[[[0.25, 0.75]]]], [[[[0.5, 1.5]]]])
    """
    # A copy: two names of one tensor would be compiled for this step alone.
    accumulated = alignment.clone() if past is None else past.accumulated + alignment
    return Past(alignment, accumulated, standing)
