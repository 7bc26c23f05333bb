"""Predictions for images."""

from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import override

from kochi.data.readers.base import Reader
from kochi.memory import Grid
from kochi.prediction import Prediction


@dataclass(frozen=True)
class ImagePrediction(Prediction):
    """A prediction for an image. See `kochi.Prediction` for the other attributes.

    Attributes:
        grid: Number of rows and columns of cells; the alignment's columns are the cells, row by
            row.
        cell: Height and width of a cell, in pixels of the fitted image.
    """

    grid: tuple[int, int] | None = None
    cell: tuple[int, int] | None = None

    @override
    def with_source(self, reader: Reader[Any], source: Any, row: Any) -> "ImagePrediction":
        extent = reader.extent(row)
        if extent is None or not isinstance(self.layout, Grid):
            return self
        cell = self.layout.cell_height, self.layout.cell_width
        return replace(self, grid=self.layout.shape(*extent), cell=cell)

    @override
    def to_record(self) -> dict[str, Any]:
        record = super().to_record()
        return record if self.grid is None else record | {"grid": self.grid, "cell": self.cell}
