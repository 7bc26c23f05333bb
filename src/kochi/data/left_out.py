"""Rows that cannot be used: refused at once, or left out and counted."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from kochi.errors import UserError
from kochi.modalities.tables import BaseData

Row = TypeVar("Row")
Made = TypeVar("Made")
# Called with what is wrong with a row, before the row is left out; it may raise the error instead.
Bad = Callable[[UserError], None]


def refuse(error: UserError) -> None:
    """Raise what is wrong with a row."""
    raise error


def bad_rows(data: BaseData) -> "Bad":
    """Return what is done with the bad rows of a run's data: `refuse`, or a fresh `LeftOut`."""
    return refuse if data.bad_rows == "refuse" else LeftOut()


def remark(bad: Bad, used: int) -> str | None:
    """Say how many rows were left out; see `LeftOut.remark`."""
    return bad.remark(used) if isinstance(bad, LeftOut) else None


def nothing_left(bad: Bad, message: str) -> UserError:
    """Return the error for data without any row: what was wrong with the first, or ``message``."""
    if isinstance(bad, LeftOut) and bad.first is not None:
        return bad.first
    return UserError(message)


def usable(rows: Iterable[Row], make: Callable[[Row], Made], bad: Bad) -> Iterator[Made]:
    """Make something of each row, without those of which nothing can be made."""
    for row in rows:
        try:
            made = make(row)
        except UserError as error:
            bad(error)
            continue
        yield made


@dataclass
class LeftOut:
    """Count rows that are left out, and remember the first.

    Attributes:
        count: How many there were.
        first: What was wrong with the first one.
    """

    count: int = 0
    first: UserError | None = field(default=None)

    def __call__(self, error: UserError) -> None:
        """Count a row that is left out."""
        self.count += 1
        self.first = self.first or error

    def remark(self, used: int) -> str | None:
        """Say how many rows were left out beside those that are used; None where none were.

        Args:
            used: How many rows are used.

        Raises:
            UserError: More rows are left out than used: then something is wrong with all of them.
        """
        if self.first is None:
            return None
        counts = f"{self.count:,} of {self.count + used:,} rows cannot be used"
        if self.count > used:
            raise UserError(f"{counts}; the first: {self.first}")
        what = "row is" if self.count == 1 else "rows are"
        return f"{counts}: the {what} left out; the first: {self.first}"
