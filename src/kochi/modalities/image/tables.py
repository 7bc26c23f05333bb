"""Data table of pictures."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from kochi.modalities.tables import ManifestData
from kochi.tables import Table

Side = Annotated[int, Field(ge=4, le=16_384)]


class Pixels(Table):
    """What a model reads of a picture; see ``kochi.modalities.image.fitting``.

    Pictures are fitted into ``height`` and ``width`` pixels with their aspect kept: ``fit`` "pad"
    scales them and puts white around them up to that size, "scale" leaves the white out, "shrink"
    leaves small ones as they are, too.
    """

    height: Side = 64
    width: Side = 64
    colour: Literal["rgb", "grey"] = "rgb"
    fit: Literal["pad", "scale", "shrink"] = "pad"


class PictureData(ManifestData):
    """Pictures with their text.

    A split is a manifest, or a folder in which every picture has its text in a .txt file of the
    same name, one right answer a line. A cell of ``image_column`` is the path of a picture,
    relative to ``image_folder`` if that is set, else to ``folder``. ``text_column`` may be several
    columns, and its cells lists (in JSON): several right answers. A cell of ``boxes_column``, where
    there is one, says where each word is to be seen (see ``kochi.modalities.image.boxes``).
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
