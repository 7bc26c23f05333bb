"""Images of a manifest's row or of a folder, as described by the run file's data table."""

from collections.abc import Iterator
from pathlib import Path

from kochi.data.lines import lines
from kochi.data.manifest import Row
from kochi.errors import UserError
from kochi.modalities.image.files import Picture
from kochi.modalities.image.tables import PictureData

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def row_picture(row: Row, data: PictureData) -> Picture:
    """Return the image in a row of a manifest.

    Raises:
        UserError: The cell is missing, empty or not text; the message names file and row.
    """
    folder = data.folder if data.image_folder is None else data.folder / data.image_folder
    return Picture(folder / row.text(data.image_column), row.where)


def row_texts(row: Row, data: PictureData) -> tuple[str, ...]:
    """Return the references of a row: those of all columns, and of all lists.

    Raises:
        UserError: A cell is missing, is empty, or is not text.
    """
    columns = data.text_column if isinstance(data.text_column, list) else [data.text_column]
    texts: list[str] = []
    for column in columns:
        cell = row.get(column)
        for text in cell if isinstance(cell, list) else [cell]:
            if not isinstance(text, str) or not text.strip():
                raise UserError(f"{row.where}: '{column}' holds {text!r}, expected text")
            texts.append(text)
    return tuple(dict.fromkeys(texts))


def folder_pictures(folder: Path) -> Iterator[tuple[Picture, tuple[str, ...]]]:
    """Yield all images below a folder, by name, with the lines of the .txt file beside each.

    Raises:
        UserError: There are none, or a text is missing or empty.
    """
    empty = True
    for path in picture_files(folder):
        empty = False
        yield Picture(path), _captions(path.with_suffix(".txt"))
    if empty:
        raise UserError(f"{folder}: holds no pictures ({', '.join(ENDINGS)}); expected some")


def picture_files(folder: Path) -> list[Path]:
    """Return the images below a folder, ordered by name."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())


def _captions(path: Path) -> tuple[str, ...]:
    if not path.exists():
        raise UserError(f"{path}: no such file; expected the text of the picture beside it")
    found = tuple(line for line in lines(path) if line.strip())
    if not found:
        raise UserError(f"{path}: found no text; expected a line, the text of the picture")
    return found
