"""Sources encoded for a model: read, cut, and refused where they cannot be."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from kochi.config import Run
from kochi.data.readers.base import Reader, Unreadable
from kochi.data.readers.taking import found as name_found
from kochi.errors import UserError
from kochi.prediction import SourceError

TOO_LONG_TO_COUNT = 100  # times the limit: such a text is not even cut into tokens
USUAL_GROWTH = 4  # times the longest source of the training data: the default limit


class EncodedSource(NamedTuple):
    """A source and its row; or the reason why there is none."""

    source: Any
    row: Any  # or a `SourceError`


class EncodedSources(list[EncodedSource]):
    """Sources that need not be encoded again."""


class SourceEncoder:
    """Turns sources into rows of numbers.

    Args:
        reader: Reads the sources.
        run: The run file that the model came from.
        longest_trained: Length of the longest source in training, or None: unknown.
        longest_readable: The most tokens, the end mark included, that the model can read, or None:
            any number.
    """

    def __init__(
        self,
        reader: Reader[Any],
        run: Run,
        longest_trained: int | None,
        longest_readable: int | None,
    ) -> None:
        self.reader = reader
        self._run = run
        self._longest_trained, self._longest_readable = longest_trained, longest_readable

    def encode(self, sources: Any, max_source_length: int | None) -> EncodedSources:
        """Encode each source.

        Args:
            sources: One or several, in any form that the reader takes.
            max_source_length: The most tokens of a text; None takes the default.

        Raises:
            TypeError: A source is nothing that the reader takes.
        """
        if isinstance(sources, EncodedSources):
            return sources
        sources = list(self.reader.several(sources))
        taken = [self._take(index, source) for index, source in enumerate(sources)]
        good = [index for index, one in enumerate(taken) if not isinstance(one, SourceError)]
        rows = self._rows([taken[index] for index in good], max_source_length)
        encoded = EncodedSources(map(EncodedSource, sources, taken))
        for index, row in zip(good, rows, strict=True):
            row = SourceError(index, str(row)) if isinstance(row, UserError) else row
            encoded[index] = EncodedSource(taken[index], row)
        return encoded

    def _take(self, index: int, source: Any) -> Any:
        """Return a source as its reader takes it, or why there is nothing to read."""
        if isinstance(source, Unreadable):
            return SourceError(index, source.reason)
        if isinstance(source, str) and not source.strip():
            return SourceError(index, "empty; expected something to read", blank=True)
        taken = self.reader.taken(source)
        if taken is None:
            found = name_found(source)
            raise TypeError(f"sources[{index}]: found {found}; expected {self.reader.takes}")
        return taken

    def _rows(self, sources: Sequence[Any], max_source_length: int | None) -> list[Any]:
        """Return the row of each source, or a `UserError`."""
        if self.reader.unit != "tokens":
            return self.reader.attempt_batch(sources) if sources else []
        limit, why = self._limit(max_source_length)
        # Once cut, a text takes a hundred times as much memory: one of megabytes is not cut.
        least = [self.reader.least_length(text) for text in sources]
        most = TOO_LONG_TO_COUNT * limit
        short = [text for text, length in zip(sources, least, strict=True) if length <= most]
        rows = iter(self.reader.attempt_batch(short) if short else [])
        cut = [next(rows) if length <= most else length for length in least]
        return [_too_long(row, limit, why) or row for row in cut]

    def _limit(self, requested: int | None) -> tuple[int, str]:
        """Return the most tokens of a text, and what set this limit."""
        limit, why = requested or self._run.search.max_source_length, "max_source_length"
        trained, readable = self._longest_trained, self._longest_readable
        if limit is None:
            usual = self._run.data.max_length
            limit = max(usual, USUAL_GROWTH * (trained or usual))
            why = "max_source_length raises it"
            if trained is not None:
                why = f"the longest one in training had {trained:,}; {why}"
        if readable is None or limit < readable:
            return limit, why
        return readable - 1, "learned positions"


def _too_long(row: list[int] | UserError | int, limit: int, why: str) -> UserError | None:
    """Refuse a text of more tokens than the limit; of some only the least number is known."""
    if isinstance(row, UserError):
        return row
    length = row if isinstance(row, int) else len(row)
    if length <= limit:
        return None
    least = "at least " if isinstance(row, int) else ""
    return UserError(f"{least}{length:,} tokens; the model reads at most {limit:,} ({why})")
