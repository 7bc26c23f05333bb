"""Rows that cannot be used: refused at once, or left out and counted."""

from collections.abc import Callable
from dataclasses import dataclass, field

from kochi.errors import UserError

# Called with what is wrong with a row, before the row is left out; it may raise the error instead.
Bad = Callable[[UserError], None]


def refuse(error: UserError) -> None:
    """Raise what is wrong with a row."""
    raise error


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
