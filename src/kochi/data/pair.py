"""A source with its right answers."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Split = Literal["train", "dev", "test"]
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, slots=True)
class Pair:
    """One source and its right answers (one in training data).

    Attributes:
        source: Text (with its tags, as `kochi.data.tags.with_tags` writes them); or what the data's
            kind reads: a `FeatureRow`, a recording, a picture.
        references: The right answers.
        where: File and line that it stands in; of sources that are not text.
        boxes: Where each word of the first answer is to be seen, if that is known.
        grouped: The rows that were put together, in their order; empty where it is a single row.
    """

    source: Any
    references: tuple[str, ...]
    where: str = field(default="", compare=False)
    boxes: tuple[tuple[Box, ...], ...] = ()
    grouped: tuple["Pair", ...] = field(default=(), compare=False)

    @property
    def rows(self) -> tuple["Pair", ...]:
        """Return the rows of the data that the pair stands for, each with answers of its own."""
        return self.grouped or (self,)


def count_rows(pairs: Iterable[Pair]) -> int:
    """Return how many rows of the data the pairs stand for.

    >>> count_rows([Pair("a", ("b",)), Pair("c", ("d",))])
    2
    """
    return sum(len(pair.rows) for pair in pairs)


def show_counts(rows: int, sources: int) -> str:
    """Say how many sources there are, and how many rows they were made of.

    >>> show_counts(1000, 603), show_counts(30, 30)
    ('1,000 rows, 603 sources', '30 sources')
    """
    counts = "1 source" if sources == 1 else f"{sources:,} sources"
    return counts if rows == sources else f"{rows:,} rows, {counts}"
