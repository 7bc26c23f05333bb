"""The interface of a modality, from a row of data to a tensor, and back to what a person reads."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from kochi.errors import UserError
from kochi.inputs import Input

if TYPE_CHECKING:
    from kochi.contents import File
    from kochi.data.left_out import Bad
    from kochi.data.manifest import Row
    from kochi.data.pair import Pair, Split
    from kochi.data.readers.base import Reader
    from kochi.data.tokenizer import Tokenizer
    from kochi.modalities.attended import Attended
    from kochi.prediction import Prediction
    from kochi.view.page import Side

Data = TypeVar("Data")


class Modality(ABC, Generic[Data]):
    """A kind of source. Data, training, inference, evaluation and display use only this interface.

    Args:
        data: The data table of a run file, an instance of one of `tables`.

    Attributes:
        name: A single word: "text", "audio", ...
        sources: The plural noun for its sources in messages: "texts", "recordings", ...
        tables: The data tables of run files that describe such sources, by their ``kind``; each
            extends `kochi.modalities.tables.BaseData`.
        augmentations: The tables of ``training`` that configure augmentation of such sources.
        in_files: Whether a source is a file, or a part of one; otherwise the data contain it.
        lasts: Whether a source has a duration, so that words have timestamps.
        has_length: Whether sources can be compared by length; images cannot.
        example: How a user names a source to `kochi predict`; "" if sources cannot be named.
        detection: The class that finds such sources for `kochi init`, as "module:Class" of a
            `kochi.modalities.detection.base.Detection`; None if there is none.
        instead_of_words: What locates the parts of a source instead of words, for messages.
    """

    name: ClassVar[str]
    sources: ClassVar[str]
    tables: ClassVar[dict[str, Any]]
    augmentations: ClassVar[frozenset[str]] = frozenset()
    in_files: ClassVar[bool] = True
    lasts: ClassVar[bool] = False
    has_length: ClassVar[bool] = True
    example: ClassVar[str] = ""
    detection: ClassVar[str | None] = None
    instead_of_words: ClassVar[str] = "'kochi show' draws what it attends to"

    def __init__(self, data: Data) -> None:
        self.data: Any = data

    # ---------------------------------------------------------------------------------------- data

    @abstractmethod
    def pairs(self, split: "Split", bad: "Bad") -> "Iterator[Pair]":
        """Stream the rows of a split, ungrouped, each with all its references.

        Args:
            split: A split of the table.
            bad: Called with the error of an invalid row.

        Raises:
            UserError: At the first error in the data.
        """

    def files(self, split: "Split") -> list[Path]:
        """Return the local files that a split is read from, except those of the sources."""
        return [self.data.folder / getattr(self.data, split)]

    def split_name(self, split: "Split") -> str:
        """Return the name of a split in messages."""
        return str(self.data.folder / getattr(self.data, split))

    def with_test(self, files: Sequence[Path]) -> Any:
        """Return the data table with other test files, given by the user.

        Raises:
            UserError: The files cannot be such data.
        """
        self._only(files)
        return self.data.model_copy(update={"test": files[0]})

    def _only(self, files: Sequence[Path]) -> None:
        if len(files) != 1:
            raise UserError(
                f"the run's data are {self.data.kind}: expected one file, found {len(files)}"
            )

    def row_files(self, row: "Row") -> "list[File]":
        """Return the files of the source of a manifest's row.

        Raises:
            UserError: A cell is missing or empty.
        """
        return []

    def without_missing(self, row: "Row") -> Any:
        """Return the data table without optional columns that a row of another manifest lacks."""
        return self.data

    def identity(self, source: Any) -> Hashable:
        """Return a key that is equal for sources that a model cannot distinguish."""
        return source

    @property
    def bounds(self) -> str:
        """The name of the limits on the length of training pairs, for messages."""
        return f"data.max_length = {self.data.max_length} tokens"

    # ------------------------------------------------------------------------------------- reading

    @abstractmethod
    def like(self) -> Input:
        """Return the approximate input of an encoder before data are read, to try out a model."""

    @abstractmethod
    def reader(self) -> "Reader[Any]":
        """Make a reader of the training data, not yet fitted.

        Raises:
            UserError: The data are faulty.
        """

    @abstractmethod
    def load_reader(self, file: "File") -> "Reader[Any]":
        """Load a saved reader.

        Raises:
            UserError: The file is missing or damaged.
        """

    def both_readers(self, folder: Path) -> "tuple[Reader[Any], Tokenizer] | None":
        """Make the readers of both sides, if one may depend on the other.

        Args:
            folder: Where they are saved, or loaded from if they exist.

        Returns:
            The readers of sources and targets, or None if each is made independently.

        Raises:
            UserError: The training data are faulty.
        """
        return None

    def keep_tokens(self, known: "Reader[Any]", file: Path) -> None:
        """Save another model's reader if it reads as this run's own would."""
        return

    # ---------------------------------------------------------------------------------- prediction

    def prediction(self) -> "type[Prediction]":
        """Return the type of predictions: `Prediction` or a subclass for such sources."""
        from kochi.prediction import Prediction

        return Prediction

    # ---------------------------------------------------------------------------------- evaluation

    @abstractmethod
    def metrics(self, wer: str) -> list[str]:
        """Return the names of the metrics that are shown in addition to the run's own.

        Args:
            wer: The unit of "wer": "words", or "rows" with any error.
        """

    def rows_are_words(self, sources: Sequence[Any]) -> bool:
        """Return whether each row counts as one word, so that "wer" counts rows with any error."""
        return False

    # --------------------------------------------------------------------------------------- people

    @abstractmethod
    def side(self, attended: "Attended") -> "Side":
        """Return the source as a page displays it."""

    @abstractmethod
    def draw(self, attended: "Attended", path: Path, title: str) -> None:
        """Draw what the model attended to as it generated the target.

        Args:
            attended: The prediction, with an alignment.
            path: The output file; its suffix determines the format.
            title: Title of the chart.

        Raises:
            UserError: The source can no longer be read, or the chart cannot be written.
        """

    def record(self, reader: Any, source: Any, prediction: "Prediction") -> dict[str, Any]:
        """Return the additional JSON fields that locate an alignment's columns in the source.

        Args:
            reader: The reader of the source.
            source: The source as the user named it; it may not be readable a second time.
            prediction: The prediction for the source.
        """
        return {}

    def lines(self, attended: "Attended") -> list[str] | None:
        """Describe the alignment in lines for a terminal; None if the alignment itself is drawn."""
        return None
