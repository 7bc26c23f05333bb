"""Treatment of bad rows: refuse them at once, or leave them out and count them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from kochi.errors import UserError
from kochi.modalities.tables import BaseData

Row = TypeVar("Row")
Made = TypeVar("Made")
# Called with the error of a row before the row is left out; it may raise the error instead.
Bad = Callable[[UserError], None]


def refuse(error: UserError) -> None:
    """Raise the error of a row."""
    raise error


def bad_rows(data: BaseData) -> "Bad":
    """Return the treatment of bad rows for a run's data: `refuse`, or a new `LeftOut`."""
    return refuse if data.bad_rows == "refuse" else LeftOut()


def remark(bad: Bad, used: int) -> str | None:
    """Return a note about rows that were left out; see `LeftOut.remark`."""
    return bad.remark(used) if isinstance(bad, LeftOut) else None


def nothing_left(bad: Bad, message: str) -> UserError:
    """Return the error for data without any usable row: that of the first one, or ``message``."""
    if isinstance(bad, LeftOut) and bad.first is not None:
        return bad.first
    return UserError(message)


def usable(rows: Iterable[Row], make: Callable[[Row], Made], bad: Bad) -> Iterator[Made]:
    """Apply ``make`` to each row and leave out those for which it fails."""
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
        count: Number of rows left out.
        first: The error of the first one.
    """

    count: int = 0
    first: UserError | None = field(default=None)

    def __call__(self, error: UserError) -> None:
        """Count a row that is left out."""
        self.count += 1
        self.first = self.first or error

    def remark(self, used: int) -> str | None:
        """Return a note about the rows that were left out; None if there are none.

        Args:
            used: Number of rows that are used.

        Raises:
            UserError: More rows are left out than used, so the data are probably misread.
        """
        if self.first is None:
            return None
        counts = f"{self.count:,} of {self.count + used:,} rows cannot be used"
        if self.count > used:
            raise UserError(f"{counts}; the first: {self.first}")
        what = "row is" if self.count == 1 else "rows are"
        return f"{counts}: the {what} left out; the first: {self.first}"
