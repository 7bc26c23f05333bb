"""Find out what pictures lie where, and which column says what."""

from itertools import islice
from pathlib import Path

from kochi.data.manifest import Row, read_rows
from kochi.data.pictures import ENDINGS, picture_files
from kochi.errors import UserError
from kochi.starting.listed import (
    PEEK,
    TEXT_NAMES,
    Listed,
    find_listed,
    folder_of,
    have_texts,
    known_first,
    splits_below,
    splits_of,
    text_column,
)

IMAGE_NAMES = ("image", "picture", "img", "photo", "file", "path", "filename", "file_name")
CAPTION_NAMES = ("caption", "captions", *TEXT_NAMES, "label", "name", "latex", "formula")
BOXES = "boxes"


def find_seeing(path: Path) -> Listed | None:
    """Tell which pictures are at a path (a manifest or a folder); None where none are.

    Raises:
        UserError: There are pictures, but no text to them, or several readings.
    """
    return find_listed(path, _of_manifest, _of_folder)


def _of_folder(folder: Path) -> Listed | None:
    """Return pictures with a text beside each; of subfolders if they are splits."""
    found = have_texts(picture_files(folder))
    return Listed("picture", splits_below(folder), {}) if found else None


def _of_manifest(path: Path) -> Listed | None:
    try:
        rows = list(islice(read_rows(path), PEEK))
    except UserError:
        return None  # whoever reads pairs of text says what is wrong
    names = list(rows[0].cells)
    image = next((n for n in known_first(names, IMAGE_NAMES) if _is_picture(rows, n)), None)
    if image is None:
        return None
    splits, column = splits_of(path, rows)
    folder, _ = folder_of(path, rows, image, "pictures in data.image_folder")
    text = text_column(path, names, image, CAPTION_NAMES)
    boxes = BOXES if all(BOXES in row.cells for row in rows) else None
    return Listed("picture", splits, {}, image, text, column, folder, boxes=boxes)


def _is_picture(rows: list[Row], column: str) -> bool:
    cells = [row.cells.get(column) for row in rows]
    return all(isinstance(cell, str) and cell.lower().endswith(ENDINGS) for cell in cells)
