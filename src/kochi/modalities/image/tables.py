"""Data table of images."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from kochi.modalities.tables import ManifestData
from kochi.tables import Table

Side = Annotated[int, Field(ge=4, le=16_384)]


class Pixels(Table):
    """How an image is prepared for a model; see ``kochi.modalities.image.fitting``.

    Images are fitted into ``height`` x ``width`` pixels with their aspect ratio kept. ``fit`` =
    "pad" scales them and pads with white to that size, "scale" does not pad, and "shrink" also
    leaves smaller images at their size.
    """

    height: Side = 64
    width: Side = 64
    colour: Literal["rgb", "grey"] = "rgb"
    fit: Literal["pad", "scale", "shrink"] = "pad"


class PictureData(ManifestData):
    """Images with their text.

    A split is a manifest, or a folder in which every image has its text in a .txt file of the same
    name, one reference per line. A cell of ``image_column`` is the path of an image, relative to
    ``image_folder`` if that is set, else to ``folder``. Several text columns, or lists in its cells
    (in JSON), are several references. The optional ``boxes_column`` gives the bounding boxes of
    each word (see ``kochi.modalities.image.boxes``).
    """

    sources_folder: ClassVar[str | None] = "image_folder"

    kind: Literal["picture"]  # pyright: ignore[reportIncompatibleVariableOverride]
    train: Path
    dev: Path | None = None
    test: Path | None = None
    image_column: str = "image"
    text_column: str | list[str] = "text"
    boxes_column: str | None = None
    image_folder: Path | None = None
    front_end: Pixels = Pixels()
