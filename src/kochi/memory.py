"""The memory that an encoder computes and a decoder attends to."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Words:
    """Layout of a memory whose positions are the tokens of a text, one after the other."""


@dataclass(frozen=True)
class Frames:
    """Layout of a memory whose positions are equally spaced in time.

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
    """Layout of a memory whose positions are the cells of an image, row by row.

    Attributes:
        cell_height: Height of a cell, in pixels of the image as the model reads it.
        cell_width: Width of a cell.
    """

    cell_height: int
    cell_width: int

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Return the number of rows and columns of an image of this size in pixels.

        >>> Grid(8, 8).shape(64, 20)
        (8, 3)
        """
        return -(-height // self.cell_height), -(-width // self.cell_width)


Layout = Words | Frames | Grid


@dataclass(frozen=True)
class Memory:
    """The output of an encoder: vectors to attend to, their mask, and their layout.

    Attributes:
        values: One vector per source position.
        mask: True at the source, False at padding.
        summary: The fixed-length vector for a plain encoder-decoder.
        layout: The meaning of the positions, so that an alignment can be drawn over the input.
    """

    values: Float[Tensor, "batch source size"]
    mask: Bool[Tensor, "batch source"]
    summary: Float[Tensor, "batch summary_size"]
    layout: Layout = Words()

    def rows(self, index: Int[Tensor, " rows"]) -> "Memory":
        """Select rows of the batch, in the order of ``index``."""
        return Memory(self.values[index], self.mask[index], self.summary[index], self.layout)


__all__ = ["Frames", "Grid", "Layout", "Memory", "Words"]
