"""The modality of images."""

import io
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from typing_extensions import override

from kochi.contents import File
from kochi.data.left_out import Bad, usable
from kochi.data.manifest import Row
from kochi.data.pair import Pair, Split
from kochi.errors import UserError
from kochi.extras import need
from kochi.inputs import Input, PictureInput
from kochi.memory import Grid
from kochi.modalities.attended import Attended
from kochi.modalities.base import Modality
from kochi.modalities.image.boxes import row_boxes
from kochi.modalities.image.files import Picture
from kochi.modalities.image.rows import folder_pictures, picture_files, row_picture, row_texts
from kochi.modalities.image.tables import PictureData
from kochi.modalities.manifests import manifest_rows, normal, with_test_manifest

if TYPE_CHECKING:
    from kochi.modalities.image.overlay import Looked
    from kochi.modalities.image.prediction import ImagePrediction
    from kochi.modalities.image.reader import PictureReader
    from kochi.prediction import Prediction
    from kochi.view.page import PictureSide


class Image(Modality[PictureData]):
    """Images."""

    name = "image"
    sources = "pictures"
    detection = "kochi.modalities.image.detection:ImageDetection"
    example = "PICTURE.png"
    has_length = False
    tables: ClassVar[dict[str, Any]] = {"picture": PictureData}
    augmentations = frozenset({"distortion"})
    instead_of_words = "'kochi show' says where each word was seen"

    # ---------------------------------------------------------------------------------------- data

    @override
    def pairs(self, split: Split, bad: Bad) -> Iterator[Pair]:
        data, position = self.data, self.data.folder / getattr(self.data, split)
        if position.is_dir():
            for picture, texts in folder_pictures(position):
                yield Pair(picture, texts, str(picture.path))
            return

        def pair(row: Row) -> Pair:
            texts = row_texts(row, data)
            column = data.boxes_column
            boxes = () if column is None else row_boxes(row, column, texts[0])
            return Pair(row_picture(row, data), texts, row.where, boxes)

        yield from usable(manifest_rows(data, position, split, bad), pair, bad)

    @override
    def files(self, split: Split) -> list[Path]:
        position = self.data.folder / getattr(self.data, split)
        if position.is_dir():
            return [path.with_suffix(".txt") for path in picture_files(position)]
        return [position]

    @override
    def with_test(self, files: Sequence[Path]) -> PictureData:
        self._only(files)
        return with_test_manifest(self.data, files[0])

    @override
    def row_files(self, row: Row) -> list[File]:
        return [row_picture(row, self.data).path]

    @override
    def without_missing(self, row: Row) -> PictureData:
        absent = self.data.boxes_column not in row.cells
        return self.data.model_copy(update={"boxes_column": None}) if absent else self.data

    @override
    def identity(self, source: Picture) -> Hashable:
        return normal(source.path)

    # ------------------------------------------------------------------------------------- reading

    @override
    def like(self) -> Input:
        return PictureInput(1, self.data.front_end.height, self.data.front_end.width)

    @override
    def reader(self) -> "PictureReader":
        need("PIL")
        from kochi.modalities.image.reader import PictureReader

        return PictureReader(front_end=self.data.front_end)

    @override
    def load_reader(self, file: File) -> "PictureReader":
        need("PIL")
        from kochi.modalities.image.reader import PictureReader

        return PictureReader.load(file)

    # ---------------------------------------------------------------------------------- evaluation

    @override
    def prediction(self) -> "type[ImagePrediction]":
        from kochi.modalities.image.prediction import ImagePrediction

        return ImagePrediction

    @override
    def metrics(self, wer: str) -> list[str]:
        return ["exact", "bleu", "chrf"]

    # --------------------------------------------------------------------------------------- people

    @override
    def side(self, attended: Attended) -> "PictureSide":
        """Return the pixels that the model read: fitted, with the white around them."""
        from PIL import Image as Pictures

        from kochi.view.page import PictureSide

        assert isinstance(attended.layout, Grid)
        reader = cast("PictureReader", attended.reader)
        pixels = reader.fitted_pixels(attended.source)
        height, width = pixels.shape[:2]
        buffer = io.BytesIO()
        Pictures.fromarray(pixels.squeeze(2) if reader.channels == 1 else pixels).save(
            buffer, "PNG"
        )
        cell = float(attended.layout.cell_width), float(attended.layout.cell_height)
        return PictureSide(buffer.getvalue(), width, height, *cell)

    @override
    def draw(self, attended: Attended, path: Path, title: str) -> None:
        from kochi.modalities.image.overlay import save_overlay

        save_overlay(_overlay(attended), path, title)

    @override
    def record(self, reader: Any, source: Any, prediction: "Prediction") -> dict[str, Any]:
        """Return the box around all cells in the image's own pixels: left, top, right, bottom.

        It is None if the image came from a pipe, which cannot be read a second time.
        """
        from kochi.data.readers.taking import file_of
        from kochi.modalities.image.attention_maps import grid_box

        shape = cast("ImagePrediction", prediction).grid
        if shape is None:
            return {}
        assert isinstance(prediction.layout, Grid)
        file = file_of(source)
        if file is None or not file.is_file():
            return {"grid_box": None}
        box = grid_box(reader, reader.taken(file), prediction.layout, shape)
        return {"grid_box": [round(side, 2) for side in box]}

    @override
    def lines(self, attended: Attended) -> list[str]:
        """Describe, for each word, the region with the largest weight: its share and its middle."""
        from kochi.modalities.image.overlay import peaks

        found = _overlay(attended)
        return [
            f"  {word:<16} {peak.share:4.0%} at {peak.across:.0f}, {peak.down:.0f}"
            for word, peak in zip(found.words, peaks(found), strict=True)
        ]


def _overlay(attended: Attended) -> "Looked":
    from kochi.modalities.image.attention_maps import lay_over, positions_of
    from kochi.word_alignment import words_of_pieces

    if not attended.tokens:
        name = attended.reader.describe(attended.source)
        raise UserError(f"{name}: the answer is empty, so there is nothing to draw")
    assert isinstance(attended.layout, Grid)
    reader = cast("PictureReader", attended.reader)
    words = positions_of(words_of_pieces(attended.pieces, attended.tokens))
    names, positions = attended.text.split(), words
    if len(words) < 2:
        names, positions = list(attended.tokens), [[each] for each in range(len(attended.tokens))]
    source = reader.taken(attended.source)
    return lay_over(reader, source, names, positions, attended.alignment, attended.layout)
