"""What every reader of one side of the data can do."""

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
Row = Any  # what `Reader.encode` gives of one source: a list of tokens, or an array
Padded = (
    Int64[Tensor, "batch source"]
    | Float32[Tensor, "batch source size"]
    | Float32[Tensor, "batch channels height width"]
)
Mask = Bool[Tensor, "batch source"] | Bool[Tensor, "batch height width"]


def attempt(encode: Callable[[Source], Row], source: Source) -> Row | UserError:
    """Return the numbers of a source, or why it cannot be read."""
    try:
        return encode(source)
    except UserError as error:
        return error


@dataclass(frozen=True)
class Unreadable:
    """A source of which is known already that it cannot be read.

    Attributes:
        source: What to call it.
        reason: Why.
    """

    source: str
    reason: str


class Reader(ABC, Generic[Source]):
    """Turn sources into numbers that a corpus keeps, and those into what an encoder reads.

    A row of numbers is one-dimensional (tokens, samples, pixels) or has ``width`` columns (frames).
    Lengths of rows count tokens, samples, frames or bytes as they are kept; positions are what an
    encoder reads: tokens and their end mark, frames, or squares of pixels.

    Attributes:
        unit: What a row is a row of: "tokens", "samples", "frames" or "pixels".
        chunk_rows: How many rows may be held in memory while a corpus is written.
        takes: What a source may be in Python, for messages.
        outlasts_target: Whether a source that belongs to its target has as many positions as the
            target has tokens, at least.
    """

    unit: ClassVar[str]
    takes: ClassVar[str]
    chunk_rows: ClassVar[int] = 100
    outlasts_target: ClassVar[bool] = False

    @property
    def width(self) -> int:
        """Return how many columns a row of frames has."""
        return 1

    @property
    def longest(self) -> int | None:
        """Return the longest row that is trained on; None leaves it to ``data.max_length``."""
        return None

    @property
    def draws(self) -> bool:
        """Say whether `collate` draws (augmentation) when it is given something to draw from."""
        return False

    @property
    @abstractmethod
    def dtype(self) -> "np.dtype[Any]":
        """Return the type of number that a corpus keeps."""

    @property
    @abstractmethod
    def inputs(self) -> Input:
        """Return what an encoder must know of what it reads."""

    @property
    def remarks(self) -> Sequence[str]:
        """Return lines about sources that can be read but may not hold what was meant."""
        return ()

    def several(self, sources: Any) -> Iterable[Any]:
        """Return several sources as they are, and a single one in a list.

        Raises:
            TypeError: It is neither.
        """
        if self.is_one(sources):
            return [sources]
        if not is_several(sources):
            raise TypeError(f"sources: found {found(sources)}; expected {self.takes}, or a list")
        return sources

    def is_one(self, source: Any) -> bool:
        """Say whether this is a single source, not several."""
        return is_file(source)

    @abstractmethod
    def taken(self, source: Any) -> Source | None:
        """Return a source in a form that `encode` takes; None if it is nothing of the kind."""

    @abstractmethod
    def encode(self, source: Source) -> Row:
        """Return the numbers of one source.

        Raises:
            UserError: The source cannot be read; the line names it.
        """

    def encode_batch(self, sources: Sequence[Source]) -> Sequence[Row]:
        """Return the numbers of many sources.

        Raises:
            UserError: As in `encode`, for the first that cannot be read.
        """
        return [self.encode(source) for source in sources]

    def attempt_batch(self, sources: Sequence[Source]) -> list[Row | UserError]:
        """Return the numbers of each source, or why it cannot be read; each is read once."""
        return [attempt(self.encode, source) for source in sources]

    @abstractmethod
    def positions(self, lengths: Any) -> Any:
        """Return how many positions rows of these lengths make (a number or an array)."""

    @abstractmethod
    def collate(
        self,
        numbers: Numbers,
        lengths: Integer[np.ndarray, " batch"],
        draws: np.random.Generator | None = None,
    ) -> tuple[Padded, Mask]:
        """Make the padded batch that an encoder reads.

        Args:
            numbers: The rows one after the other.
            lengths: The length of each.
            draws: What augmentation draws from; given in training alone.

        Returns:
            The batch, and a mask that is True at positions of the source.
        """

    def batch(self, rows: Sequence[Row]) -> tuple[Padded, Mask]:
        """Make a padded batch of single rows; nothing is drawn."""
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        return self.collate(np.concatenate([np.asarray(row, self.dtype) for row in rows]), lengths)

    def fitted(self, rows: Iterable[Row]) -> "Reader[Source]":
        """Return a reader that has measured what it must know of the training data's rows."""
        return self

    def for_training(self, training: config.Training) -> "Reader[Source]":
        """Return the reader that makes the batches of training, with what is changed in them."""
        return self

    def labels(self, row: Row) -> tuple[str, ...]:
        """Name the positions of a row for people to read; nothing where they have no names."""
        return ()

    @property
    def parts(self) -> str:
        """What `unknown` names: "characters" or "words"; "" where sources are not text."""
        return ""

    def unknown(self, source: Source, row: Row) -> tuple[str, ...]:
        """Name the parts of a source, read as ``row``, that were never seen in training."""
        return ()

    def words(self, source: Source) -> Sequence[int | None]:
        """Say which word each position is of; nothing where sources have no words."""
        return ()

    def parts_of(self, source: Source) -> Sequence[str | None]:
        """Return what of the source each position stands for; nothing where that is no text."""
        return ()

    def spelt(self, source: Source) -> Sequence[str]:
        """Return the words of a source as they are written; nothing where it has none."""
        return ()

    def least_length(self, source: Source) -> int:
        """Return a length that the row has at least, without reading the source."""
        return 0

    @property
    def vocabulary(self) -> list[str] | None:
        """The names of all tokens that rows are made of; None where they are made of none."""
        return None

    def extent(self, row: Row) -> tuple[int, int] | None:
        """Return height and width of a picture as the model reads it; None for all else."""
        return None

    def seconds(self, length: int) -> float:
        """Return how long a row of this length lasts; 0 where rows do not last."""
        return 0.0

    @abstractmethod
    def describe(self, source: Source) -> str:
        """Name a source in one line."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write all that reading needs as data that cannot run code.

        Raises:
            UserError: The file cannot be written.
        """
