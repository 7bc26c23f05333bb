"""Find out what pictures lie where, and which column says what."""

from pathlib import Path

from kochi.data.pictures import picture_files
from kochi.starting.choices import Choices
from kochi.starting.find import table_notes
from kochi.starting.layouts import rewritten_table
from kochi.starting.listed import (
    TEXT_NAMES,
    Listed,
    folder_of,
    have_texts,
    splits_below,
    splits_of,
    text_column,
)
from kochi.starting.sample import Sample

CAPTION_NAMES = ("caption", "captions", *TEXT_NAMES, "label", "name", "latex", "formula")
BOXES = "boxes"
WHAT = "pictures in data.image_folder"


def pictures_of_folder(folder: Path) -> Listed | None:
    """Return pictures with a text beside each; of subfolders if they are splits."""
    found = have_texts(picture_files(folder))
    return Listed("picture", splits_below(folder), {}) if found else None


def pictures_of_table(sample: Sample, choices: Choices) -> Listed | None:
    """Return the pictures that a table lists; None where it lists none.

    Raises:
        UserError: It lists some, but no text to them, or they are nowhere to be found.
    """
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
