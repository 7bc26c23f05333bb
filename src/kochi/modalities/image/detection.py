"""Detect images, and the columns of their manifests."""

from pathlib import Path

from typing_extensions import override

from kochi.modalities.detection.base import Detection
from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.listed import (
    TEXT_NAMES,
    Listed,
    folder_of,
    have_texts,
    splits_below,
    splits_of,
    text_column,
)
from kochi.modalities.detection.sample import Sample
from kochi.modalities.image.layouts import layout_of, rewritten_table
from kochi.modalities.image.rows import picture_files
from kochi.modalities.image.template import write_seeing
from kochi.modalities.text.detection import table_notes

CAPTION_NAMES = ("caption", "captions", *TEXT_NAMES, "label", "name", "latex", "formula")
BOXES = "boxes"
WHAT = "pictures in data.image_folder"


class ImageDetection(Detection):
    """Detects images."""

    @override
    def in_layout(self, path: Path, choices: Choices) -> Listed | None:
        return layout_of(path, choices)

    @override
    def in_table(self, sample: Sample, choices: Choices) -> Listed | None:
        return _pictures_of_table(sample, choices)

    @override
    def in_folder(self, folder: Path) -> Listed | None:
        found = have_texts(picture_files(folder))
        return Listed("picture", splits_below(folder), {}) if found else None

    @override
    def write(
        self, found: Listed, run_file: Path, output: str, seed: int, choices: Choices
    ) -> tuple[int, str, tuple[str, ...]]:
        return write_seeing(found, run_file, output, seed, choices)


def _pictures_of_table(sample: Sample, choices: Choices) -> Listed | None:
    image = next((column for column in sample.columns if column.kind == "pictures"), None)
    if image is None:
        return None
    text = text_column(sample, image.name, CAPTION_NAMES, choices).name
    if not sample.header or any("#" in str(row.get(image.name)) for row in sample.rows):
        return rewritten_table(sample, image.name, text)
    folder, _, _ = folder_of(sample, image.name, WHAT)
    splits, split = splits_of(sample)
    boxes = BOXES if all(BOXES in row for row in sample.rows) else None
    used = {name for name in (image.name, text, split, boxes) if name is not None}
    notes = table_notes(sample, used)
    return Listed(
        "picture",
        splits,
        {},
        str(image.name),
        str(text),
        split,
        folder,
        boxes=boxes,
        form=sample.form,
        notes=notes,
    )
