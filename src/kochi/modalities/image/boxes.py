"""Bounding boxes of the words of an image's text, as given in a manifest.

A cell is a JSON list of ``[word, left, top, right, bottom]``: the index of the word in the text,
from 0, and a box in pixels of the image (it may extend over the edge). A word may have several
boxes, any of which counts, or none if it names nothing.
"""

import math
from typing import Any

from kochi.data.manifest import Row
from kochi.data.pair import Box
from kochi.errors import UserError
from kochi.reading import parse_json

WordBoxes = tuple[tuple[Box, ...], ...]


def row_boxes(row: Row, column: str, text: str) -> WordBoxes:
    """Return the boxes of each word of a row's text.

    Raises:
        UserError: The cell is missing, is not JSON, or is not a list of boxes of words.
    """
    cell = row.get(column)
    found = cell
    if isinstance(cell, str):
        found = parse_json(cell, f"{row.where}: '{column}'", "correct it")
    words = text.split()
    boxes: list[list[Box]] = [[] for _ in words]
    for entry in found if isinstance(found, list) else [found]:
        if not _is_box(entry, len(words)):
            raise UserError(
                f"{row.where}: '{column}' holds {entry!r}; expected [word, left, top, right, "
                f"bottom], a word from 0 to {len(words) - 1}, left < right and top < bottom"
            )
        left, top, right, bottom = map(float, entry[1:])
        boxes[entry[0]].append((left, top, right, bottom))
    return tuple(map(tuple, boxes))


def _is_box(entry: Any, num_words: int) -> bool:
    if not isinstance(entry, list) or len(entry) != 5:
        return False
    if any(type(number) not in (int, float) or not math.isfinite(number) for number in entry):
        return False
    word, left, top, right, bottom = entry
    return type(word) is int and 0 <= word < num_words and left < right and top < bottom
