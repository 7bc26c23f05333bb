"""A source with its references."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Split = Literal["train", "dev", "test"]
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, slots=True)
class Pair:
    """One source and its references (one in training data).

    Attributes:
        source: Text (with its tags, as `kochi.data.tags.with_tags` writes them), or the source of
            another kind of data: a `FeatureRow`, a recording, an image.
        references: The references.
        where: File and line, for sources that are not text.
        boxes: The bounding boxes of each word of the first reference, if known.
        grouped: The rows that were merged, in order; empty for a single row.
    """

    source: Any
    references: tuple[str, ...]
    where: str = field(default="", compare=False)
    boxes: tuple[tuple[Box, ...], ...] = ()
    grouped: tuple["Pair", ...] = field(default=(), compare=False)

    @property
    def rows(self) -> tuple["Pair", ...]:
        """Return the rows of the data that were merged to this pair, with their own references."""
        return self.grouped or (self,)


def count_rows(pairs: Iterable[Pair]) -> int:
    """Return the number of rows of the data that the pairs were merged from.

    >>> count_rows([Pair("a", ("b",)), Pair("c", ("d",))])
    2
    """
    return sum(len(pair.rows) for pair in pairs)


def show_counts(rows: int, sources: int) -> str:
    """Format the number of sources, and of the rows they were merged from.

    >>> show_counts(1000, 603), show_counts(30, 30)
    ('1,000 rows, 603 sources', '30 sources')
    """
    counts = "1 source" if sources == 1 else f"{sources:,} sources"
    return counts if rows == sources else f"{rows:,} rows, {counts}"
