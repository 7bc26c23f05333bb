"""What the user says of data, in place of letting it be found out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Choices:
    """Options of ``kochi init``; None leaves it to what is found.

    Attributes:
        source: Name or number (from 1) of the column of sources; of what names sound or pictures.
        target: That of the targets.
        tags: Those of tags; empty for none.
        header: Whether the first row of a table is a header.
        split: Shares of training, dev and test.
        encoding: Of the files.
        separator: Between the cells of a table.
    """

    source: str | None = None
    target: str | None = None
    tags: tuple[str, ...] | None = None
    header: bool | None = None
    split: tuple[float, float, float] | None = None
    encoding: str | None = None
    separator: str | None = None
