"""The user's choices, which replace detection."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Choices:
    """Options of ``kochi init``; None leaves a choice to detection.

    Attributes:
        source: Name or number (from 1) of the column of sources, or of audio or image files.
        target: Name or number of the column of targets.
        tags: Name or number of the column of tags; empty for none.
        header: Whether the first row of a table is a header.
        split: Fractions of training, dev and test data.
        encoding: Encoding of the files.
        separator: Separator of the cells of a table.
    """

    source: str | None = None
    target: str | None = None
    tags: tuple[str, ...] | None = None
    header: bool | None = None
    split: tuple[float, float, float] | None = None
    encoding: str | None = None
    separator: str | None = None
