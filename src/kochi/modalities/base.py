"""What a kind of source must be able to do, from a row of data to a tensor and back to a person."""

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
    """One kind of source. Data, training, inference, evaluation and show know it only through this.

    Args:
        data: The data table of a run file, of one of `tables`.

    Attributes:
        name: One word: "text", "audio", ...
        sources: What messages call its sources: "texts", "recordings", ...
        tables: The data tables of run files that describe such sources, by their ``kind``; each
            extends `kochi.modalities.tables.BaseData`.
        augmentations: The tables of ``training`` that change such sources.
        in_files: Whether a source is a file, or a part of one; else it stands in the data itself.
        lasts: Whether a source lasts for some time, so that words have times.
        has_length: Whether sources can be compared by length; pictures cannot.
        example: How a user names a source to `kochi predict`; "" where it is not named.
        detection: What finds such sources for `kochi init`, as "module:Class" of a
            `kochi.modalities.detection.base.Detection`; None: nothing does.
        instead_of_words: What tells where its parts are, for messages of what links words.
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
        """Stream the rows of a split as they stand, each with all its references.

        Args:
            split: One that the table has.
            bad: Called with what is wrong with a row.

        Raises:
            UserError: At the first thing wrong with the data.
        """

    def files(self, split: "Split") -> list[Path]:
        """Name the local files that a split is read from, apart from those of the sources."""
        return [self.data.folder / getattr(self.data, split)]

    def split_name(self, split: "Split") -> str:
        """Return what messages call a split."""
        return str(self.data.folder / getattr(self.data, split))

    def with_test(self, files: Sequence[Path]) -> Any:
        """Return the data table with other test files, which a user named.

        Raises:
            UserError: These files cannot be such data.
        """
        self._only(files)
        return self.data.model_copy(update={"test": files[0]})

    def _only(self, files: Sequence[Path]) -> None:
        if len(files) != 1:
            raise UserError(
                f"the run's data are {self.data.kind}: expected one file, found {len(files)}"
            )

    def row_files(self, row: "Row") -> "list[File]":
        """Name the files of the source of a manifest's row.

        Raises:
            UserError: A cell is missing or empty.
        """
        return []

    def without_missing(self, row: "Row") -> Any:
        """Return the data table without optional columns that a row of another manifest lacks."""
        return self.data

    def identity(self, source: Any) -> Hashable:
        """Return what two sources have in common that a model cannot tell apart."""
        return source

    @property
    def bounds(self) -> str:
        """What messages call the bounds on the length of training pairs."""
        return f"data.max_length = {self.data.max_length} tokens"

    # ------------------------------------------------------------------------------------- reading

    @abstractmethod
    def like(self) -> Input:
        """Return about what an encoder will read, before any data are read, to try a model."""

    @abstractmethod
    def reader(self) -> "Reader[Any]":
        """Make a reader of the training data, not fitted yet.

        Raises:
            UserError: Something is wrong with the data.
        """

    @abstractmethod
    def load_reader(self, file: "File") -> "Reader[Any]":
        """Load what a reader saved.

        Raises:
            UserError: The file is missing or damaged.
        """

    def both_readers(self, folder: Path) -> "tuple[Reader[Any], Tokenizer] | None":
        """Make the readers of both sides where one may depend on the other.

        Args:
            folder: Where they are saved, and loaded from if they are there.

        Returns:
            The readers of sources and targets. None: each is made by itself.

        Raises:
            UserError: Something is wrong with the training data.
        """
        return None

    def keep_tokens(self, known: "Reader[Any]", file: Path) -> None:
        """Save a reader of another model where it reads as this run's own would."""
        return

    # ---------------------------------------------------------------------------------- prediction

    def prediction(self) -> "type[Prediction]":
        """Return the type of a prediction: the base, or what extends it for such sources."""
        from kochi.prediction import Prediction

        return Prediction

    # ---------------------------------------------------------------------------------- evaluation

    @abstractmethod
    def metrics(self, wer: str) -> list[str]:
        """Name the metrics that are shown beside the run's own.

        Args:
            wer: What "wer" counts: "words", or "rows" with any error.
        """

    def rows_are_words(self, sources: Sequence[Any]) -> bool:
        """Say whether each row is taken for one word, so that "wer" counts rows with any error."""
        return False

    # --------------------------------------------------------------------------------------- people

    @abstractmethod
    def side(self, attended: "Attended") -> "Side":
        """Return the source as a page shows it."""

    @abstractmethod
    def draw(self, attended: "Attended", path: Path, title: str) -> None:
        """Draw what was attended to while the text was written.

        Args:
            attended: With an alignment.
            path: Where to; its ending says in which format.
            title: Of the picture.

        Raises:
            UserError: The source cannot be read any more, or the picture cannot be written.
        """

    def record(self, reader: Any, source: Any, prediction: "Prediction") -> dict[str, Any]:
        """Return what JSON adds about where an alignment's columns are in the source.

        Args:
            reader: Reads the source.
            source: As the user named it; perhaps it cannot be read a second time.
            prediction: Of the source.
        """
        return {}

    def lines(self, attended: "Attended") -> list[str] | None:
        """Say in lines for a terminal what was attended to; None: the alignment is drawn there."""
        return None
