"""The interface of readers of one side of the data."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from jaxtyping import Bool, Float32, Int64, Integer, Shaped
from torch import Tensor

from kochi import config
from kochi.data.readers.taking import found, is_file, is_several
from kochi.errors import UserError
from kochi.inputs import Input

Source = TypeVar("Source")
Numbers = Shaped[np.ndarray, "numbers ..."]
Row = Any  # the result of `Reader.encode` for a source: a list of tokens, or an array
Padded = (
    Int64[Tensor, "batch source"]
    | Float32[Tensor, "batch source size"]
    | Float32[Tensor, "batch channels height width"]
)
Mask = Bool[Tensor, "batch source"] | Bool[Tensor, "batch height width"]


def attempt(encode: Callable[[Source], Row], source: Source) -> Row | UserError:
    """Return the encoded source, or the error if it cannot be read."""
    try:
        return encode(source)
    except UserError as error:
        return error


@dataclass(frozen=True)
class Unreadable:
    """A source that is already known to be unreadable.

    Attributes:
        source: Its name.
        reason: The error.
    """

    source: str
    reason: str


class Reader(ABC, Generic[Source]):
    """Turn sources into rows of numbers for a corpus, and rows into the input of an encoder.

    A row of numbers is one-dimensional (tokens, samples, pixels) or has ``width`` columns (frames).
    Lengths of rows count tokens, samples, frames or bytes as stored; positions are those of the
    encoder's input: tokens and their end mark, frames, or squares of pixels.

    Attributes:
        unit: The unit of a row: "tokens", "samples", "frames" or "pixels".
        chunk_rows: Number of rows that may be in memory while a corpus is written.
        takes: The Python types of sources, for messages.
        outlasts_target: Whether a source has at least as many positions as its target has tokens.
    """

    unit: ClassVar[str]
    takes: ClassVar[str]
    chunk_rows: ClassVar[int] = 100
    outlasts_target: ClassVar[bool] = False

    @property
    def width(self) -> int:
        """Return the number of columns of a row of frames."""
        return 1

    @property
    def longest(self) -> int | None:
        """Return the maximum length of training rows; None leaves it to ``data.max_length``."""
        return None

    @property
    def draws(self) -> bool:
        """Return whether `collate` applies random augmentation when it is given a generator."""
        return False

    @property
    @abstractmethod
    def dtype(self) -> "np.dtype[Any]":
        """Return the number type that a corpus stores."""

    @property
    @abstractmethod
    def inputs(self) -> Input:
        """Return the properties of the input that an encoder depends on."""

    @property
    def remarks(self) -> Sequence[str]:
        """Return remarks on sources that are readable but may not have the intended content."""
        return ()

    def several(self, sources: Any) -> Iterable[Any]:
        """Return several sources unchanged, and a single one in a list.

        Raises:
            TypeError: It is neither.
        """
        if self.is_one(sources):
            return [sources]
        if not is_several(sources):
            raise TypeError(f"sources: found {found(sources)}; expected {self.takes}, or a list")
        return sources

    def is_one(self, source: Any) -> bool:
        """Return whether this is a single source, not several."""
        return is_file(source)

    @abstractmethod
    def taken(self, source: Any) -> Source | None:
        """Return a source in a form that `encode` accepts; None if it is not a source."""

    @abstractmethod
    def encode(self, source: Source) -> Row:
        """Return the numbers of one source.

        Raises:
            UserError: The source cannot be read; the message names it.
        """

    def encode_batch(self, sources: Sequence[Source]) -> Sequence[Row]:
        """Return the numbers of many sources.

        Raises:
            UserError: As in `encode`, for the first source that cannot be read.
        """
        return [self.encode(source) for source in sources]

    def attempt_batch(self, sources: Sequence[Source]) -> list[Row | UserError]:
        """Return the numbers or the error of each source; each is read once."""
        return [attempt(self.encode, source) for source in sources]

    @abstractmethod
    def positions(self, lengths: Any) -> Any:
        """Return the number of positions of rows of these lengths (a number or an array)."""

    @abstractmethod
    def collate(
        self,
        numbers: Numbers,
        lengths: Integer[np.ndarray, " batch"],
        draws: np.random.Generator | None = None,
    ) -> tuple[Padded, Mask]:
        """Make the padded batch that an encoder reads.

        Args:
            numbers: The concatenated rows.
            lengths: The length of each.
            draws: Random generator for augmentation; given in training only.

        Returns:
            The batch, and a mask that is True at positions of the source.
        """

    def batch(self, rows: Sequence[Row]) -> tuple[Padded, Mask]:
        """Make a padded batch of individual rows, without augmentation."""
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        return self.collate(np.concatenate([np.asarray(row, self.dtype) for row in rows]), lengths)

    def fitted(self, rows: Iterable[Row]) -> "Reader[Source]":
        """Return a reader fitted to the rows of the training data."""
        return self

    def for_training(self, training: config.Training) -> "Reader[Source]":
        """Return the reader that makes training batches, with augmentation."""
        return self

    def labels(self, row: Row) -> tuple[str, ...]:
        """Return the names of the positions of a row, for display; empty if they have none."""
        return ()

    @property
    def parts(self) -> str:
        """The name of the result of `unknown`: "characters" or "words"; "" unless it is text."""
        return ""

    def unknown(self, source: Source, row: Row) -> tuple[str, ...]:
        """Return the parts of a source, encoded as ``row``, that did not occur in training."""
        return ()

    def words(self, source: Source) -> Sequence[int | None]:
        """Return the word index of each position; empty if sources have no words."""
        return ()

    def parts_of(self, source: Source) -> Sequence[str | None]:
        """Return the part of the source that each position represents; empty unless it is text."""
        return ()

    def spelt(self, source: Source) -> Sequence[str]:
        """Return the words of a source as they are spelt; empty if it has none."""
        return ()

    def least_length(self, source: Source) -> int:
        """Return a lower bound on the length of the row, without reading the source."""
        return 0

    @property
    def vocabulary(self) -> list[str] | None:
        """The names of all tokens that rows may contain; None if rows are not tokens."""
        return None

    def extent(self, row: Row) -> tuple[int, int] | None:
        """Return height and width of an image as the model reads it; None for other sources."""
        return None

    def seconds(self, length: int) -> float:
        """Return the duration of a row of this length; 0 if rows have none."""
        return 0.0

    @abstractmethod
    def describe(self, source: Source) -> str:
        """Return a one-line name of a source."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Save everything that reading needs, as data that cannot run code.

        Raises:
            UserError: The file cannot be written.
        """
