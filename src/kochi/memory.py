"""What an encoder leaves to be looked at."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Words:
    """Layout of a memory whose positions are the tokens of a text, one after the other."""


@dataclass(frozen=True)
class Frames:
    """Layout of a memory whose positions follow each other in time at equal distances.

    Attributes:
        hop_seconds: Time from the centre of one position to that of the next.
        first_seconds: Time of the centre of position 0.
    """

    hop_seconds: float
    first_seconds: float = 0.0

    def centre_seconds(self, position: int) -> float:
        """Return the time of a position's centre.

        >>> Frames(hop_seconds=0.5, first_seconds=0.25).centre_seconds(3)
        1.75
        """
        return self.first_seconds + position * self.hop_seconds


@dataclass(frozen=True)
class Grid:
    """Layout of a memory whose positions are cells of a picture, row after row.

    Attributes:
        cell_height: Pixels of the picture as the model reads it, from one row to the next.
        cell_width: The same from one column to the next.
    """

    cell_height: int
    cell_width: int

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Return how many rows and columns a picture of so many pixels has.

        >>> Grid(8, 8).shape(64, 20)
        (8, 3)
        """
        return -(-height // self.cell_height), -(-width // self.cell_width)


Layout = Words | Frames | Grid


@dataclass(frozen=True)
class Memory:
    """An encoder's vectors, where they may be looked at, and what they were read from.

    Attributes:
        values: One vector a source position.
        mask: True where there is something to look at; padding is False.
        summary: The fixed-length vector that a plain encoder-decoder gets instead.
        layout: What the positions are, so that an alignment can be drawn over the input.
    """

    values: Float[Tensor, "batch source size"]
    mask: Bool[Tensor, "batch source"]
    summary: Float[Tensor, "batch summary_size"]
    layout: Layout = Words()

    def rows(self, index: Int[Tensor, " rows"]) -> "Memory":
        """Return the memory of some rows of the batch, in the order of ``index``."""
        return Memory(self.values[index], self.mask[index], self.summary[index], self.layout)


__all__ = ["Frames", "Grid", "Layout", "Memory", "Words"]
