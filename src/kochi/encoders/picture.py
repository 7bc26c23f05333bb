"""Base class of encoders of images."""

from abc import abstractmethod

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kochi.encoders.encoder import Encoder, mean_over_positions
from kochi.inputs import PictureInput
from kochi.layers.grid_positions import GridPositions
from kochi.memory import Grid, Memory
from kochi.tables import GridPositionsName


class PictureEncoder(Encoder):
    """Encode pixels into a `Memory` whose positions are the cells of a grid, row by row.

    An image of h x w pixels becomes ceil(h / cell) rows of ceil(w / cell) positions. Padding is to
    the right of and below a smaller image of a batch; its values have no effect. The memory's own
    padding is at the end of its sequence.

    Args:
        memory_size: Width of the memory's vectors, and of the summary, which is their mean.
        cell: Width and height of a cell, in pixels.
    """

    reads = PictureInput

    def __init__(self, memory_size: int, cell: int) -> None:
        super().__init__()
        self.memory_size = self.summary_size = memory_size
        self.layout = Grid(cell, cell)

    @abstractmethod
    def forward(
        self,
        source: Float[Tensor, "batch channels height width"],
        mask: Bool[Tensor, "batch height width"],
    ) -> Memory:
        """Return the memory to attend to.

        Args:
            source: Pixels; values in the padding are arbitrary.
            mask: True at pixels, False at padding.
        """

    def remember(
        self,
        values: Float[Tensor, "batch rows columns size"],
        mask: Bool[Tensor, "batch rows columns"],
    ) -> Memory:
        """Convert a feature map to a memory."""
        flat, flat_mask = rows_of_cells(values, mask)
        return Memory(flat, flat_mask, mean_over_positions(flat, flat_mask), self.layout)


def rows_of_cells(
    values: Float[Tensor, "batch rows columns size"], mask: Bool[Tensor, "batch rows columns"]
) -> tuple[Float[Tensor, "batch cells size"], Bool[Tensor, "batch cells"]]:
    """Flatten the cells of each image to a sequence, with all padding at its end.

    >>> import torch
    >>> values = torch.arange(4.0).view(1, 2, 2, 1)
    >>> mask = torch.tensor([[[True, False], [True, False]]])
    >>> rows_of_cells(values, mask)[0].flatten().tolist()
    [0.0, 2.0, 0.0, 0.0]
    """
    flat, flat_mask = values.flatten(1, 2), mask.flatten(1)
    if flat_mask.all():
        return flat, flat_mask
    order = (~flat_mask).to(flat.dtype).argsort(dim=1, stable=True)
    flat_mask = flat_mask.gather(1, order)
    flat = flat.gather(1, order.unsqueeze(-1).expand_as(flat))
    return flat.masked_fill(~flat_mask.unsqueeze(-1), 0.0), flat_mask


def quiet(
    source: Float[Tensor, "batch channels height width"], mask: Bool[Tensor, "batch height width"]
) -> Float[Tensor, "batch channels height width"]:
    """Zero the padding, even if it is NaN."""
    return source if mask.all() else source.masked_fill(~mask.unsqueeze(1), 0.0)


def to_multiple(
    source: Float[Tensor, "batch channels height width"], side: int
) -> Float[Tensor, "batch channels more_height more_width"]:
    """Pad with zeros right and below so that ``side`` divides height and width."""
    height, width = source.shape[2:]
    return F.pad(source, (0, -width % side, 0, -height % side))


def grid_positions(kind: GridPositionsName, size: int) -> nn.Module:
    """Return a module that adds positions in both directions, or the identity for "none"."""
    return GridPositions(size) if kind == "sinusoidal" else nn.Identity()
