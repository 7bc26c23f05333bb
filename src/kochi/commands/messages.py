"""Messages to the user, printed to stderr so that they never mix with predictions."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from kochi.printing import say

if TYPE_CHECKING:
    from kochi.inference.predictor import Predictor
    from kochi.prediction import Prediction

NAMED = 20  # failed sources that are reported individually
LISTED = 10  # unknown characters or words that are listed
REMARKS = 3  # remarks on individual sources that are printed


def warn(message: str) -> None:
    """Print a one-line warning."""
    say(f"kochi: warning: {message}", error=True)


def note(message: str) -> None:
    """Print a one-line note on a choice that was made."""
    say(f"kochi: {message}", error=True)


def short(path: Path) -> str:
    """Return a path as you would type it: relative if it is below the current folder."""
    try:
        path, here = path.resolve(), Path.cwd().resolve()
    except FileNotFoundError:  # the current folder was removed
        return str(path)
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


class Summary:
    """Warnings about the sources of predictions, summarised.

    A failed source is reported at once; remarks that concern all sources are printed at the end
    (`close`).

    Args:
        predictor: The predictor.
        where: Describes a text by its number, from 1. Other sources have names of their own.
    """

    def __init__(self, predictor: "Predictor", where: Callable[[int], str]) -> None:
        self._predictor = predictor
        self._text = not predictor.modality.in_files
        self._where = where
        self._count = self._with_unknown = self._num_longer = self._longest = 0
        self._unknown = Counter[str]()
        self._first_unknown = self._longest_at = ""
        self.unanswered: list[int] = []

    def add(self, prediction: "Prediction") -> None:
        """Record the next prediction."""
        self._count += 1
        where = self._place(prediction, self._count)
        if prediction.error is not None:
            self.unanswered.append(self._count)
            if len(self.unanswered) <= NAMED:
                warn(f"{self._reason(prediction, self._count)} (no prediction)")
            return
        if prediction.unknown:
            self._with_unknown += 1
            self._unknown.update(prediction.unknown)
            self._first_unknown = self._first_unknown or where
        seen = self._predictor.longest_trained
        comparable = self._predictor.modality.has_length
        if seen is not None and comparable and prediction.length > seen:
            self._num_longer += 1
            if prediction.length > self._longest:
                self._longest, self._longest_at = prediction.length, where

    def refuse(self, prediction: "Prediction") -> str:
        """Return why the next prediction, which is not recorded, failed."""
        return self._reason(prediction, self._count + 1)

    def _reason(self, prediction: "Prediction", number: int) -> str:
        reason = prediction.error or "empty line; nothing to read there: remove it"
        where = self._place(prediction, number)
        return reason if where in reason else f"{where}: {reason}"

    def _place(self, prediction: "Prediction", number: int) -> str:
        return self._where(number) if self._text else prediction.source

    def close(self) -> None:
        """Print the remarks that concern all sources."""
        total = f"{self._count:,} source{'s' * (self._count != 1)}"
        remarks = self._predictor.source.remarks
        for remark in remarks[:REMARKS]:
            warn(remark)
        if len(remarks) > REMARKS:
            warn(f"{len(remarks) - REMARKS:,} more remarks like these")
        if self._unknown:
            self._warn_unknown(total)
        if self._num_longer:
            self._warn_longer(total)
        if len(self.unanswered) > NAMED:
            count = len(self.unanswered)
            warn(f"{count:,} of {total} without a prediction: {_ranges(self.unanswered)}")

    def _warn_unknown(self, total: str) -> None:
        what = f"{self._predictor.source.parts} never seen in training"
        most = self._unknown.most_common(LISTED)
        more = len(self._unknown) - len(most)
        others = f" and {more:,} more" if more else ""
        if self._count == 1:
            warn(f"{self._first_unknown}: {what}: {', '.join(repr(p) for p, _ in most)}{others}")
            return
        named = ", ".join(f"{part!r} ({count:,})" for part, count in most)
        where = f"{self._with_unknown:,} of {total} (first in {self._first_unknown})"
        warn(f"{what}, in {where}: {named}{others}")

    def _warn_longer(self, total: str) -> None:
        seen = self._size(self._predictor.longest_trained or 0)
        longest = self._size(self._longest)
        if self._count == 1:
            warn(f"{self._longest_at}: {longest}, longer than any in training (up to {seen})")
            return
        warn(
            f"{self._num_longer:,} of {total} longer than any in training (up to {seen}): up to "
            f"{longest} ({self._longest_at})"
        )

    def _size(self, length: int) -> str:
        seconds = self._predictor.source.seconds(length)
        return f"{seconds:.1f} s" if seconds else f"{length:,} {self._predictor.source.unit}"


def _ranges(numbers: Sequence[int]) -> str:
    """Format increasing numbers as ranges.

    >>> _ranges([1, 2, 3, 7, 9, 10])
    '1-3, 7, 9-10'
    """
    runs = groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
    ends = [(run[0][1], run[-1][1]) for run in (list(group) for _, group in runs)]
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in ends)


def one_line(text: str) -> str:
    r"""Put a prediction on a single line: each line break becomes a space.

    >>> one_line("a\r\nb\u2028c")
    'a b c'
    """
    return " ".join(text.splitlines())
