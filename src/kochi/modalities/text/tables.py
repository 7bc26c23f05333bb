"""Data tables of pairs of text."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from kochi.modalities.tables import BaseData, Column, Separated, Tokens
from kochi.tables import Table


class TextData(BaseData):
    """What all data have in common that are text on both sides.

    ``shared_vocabulary`` trains one tokenizer on both sides. Tags of a source, such as ``N;PL``,
    where the data have some, are separated by ``tags_separator`` and read as whole symbols in front
    of the source; see `kochi.data.tags`.
    """

    source: Tokens = Tokens()
    shared_vocabulary: bool = False
    tags_separator: Annotated[str, Field(min_length=1)] = ";"

    @property
    def tagged(self) -> bool:
        """Whether sources have tags."""
        return False

    @model_validator(mode="after")
    def _tags_need_a_vocabulary(self) -> "TextData":
        if self.tagged and self.shared_vocabulary:
            raise ValueError(
                "data.shared_vocabulary and tags exclude each other: tags are symbols of the "
                "source alone; set data.shared_vocabulary = false"
            )
        return self


class TsvData(TextData, Separated):
    """A table of text with a header row; a column given as a number (from 1) means no header.

    Several target columns are several right answers of a row in dev and test data. ``tags_column``
    is one column or several.
    """

    kind: Literal["tsv"]  # pyright: ignore[reportIncompatibleVariableOverride]
    train: Path
    dev: Path | None = None
    test: Path | None = None
    source_column: Column = "source"
    target_column: Column | list[Column] = "target"
    tags_column: Column | list[Column] | None = None

    @property
    def tagged(self) -> bool:
        """Whether sources have tags."""
        return self.tags_column is not None


class JsonlData(TextData):
    """JSON objects, one a line or in an array; fields may be dotted (``translation.en``).

    The target may be a string or a list of strings (references), the tags likewise.
    """

    kind: Literal["jsonl"]  # pyright: ignore[reportIncompatibleVariableOverride]
    train: Path
    dev: Path | None = None
    test: Path | None = None
    source_field: str = "source"
    target_field: str = "target"
    tags_field: str | None = None

    @property
    def tagged(self) -> bool:
        """Whether sources have tags."""
        return self.tags_field is not None


class ParallelFiles(Table):
    """Two files with the same number of lines; several target files are several references."""

    source: Path
    target: Path | list[Path]


class ParallelData(TextData):
    """Parallel files, one sentence a line, plain or gzip."""

    kind: Literal["parallel"]  # pyright: ignore[reportIncompatibleVariableOverride]
    train: ParallelFiles
    dev: ParallelFiles | None = None
    test: ParallelFiles | None = None


class HuggingFaceData(TextData):
    """A data set read with the optional ``datasets`` package (``pip install kochi[huggingface]``).

    ``name`` is what ``datasets.load_dataset`` takes; fields may be dotted (``translation.en``).
    """

    kind: Literal["huggingface"]  # pyright: ignore[reportIncompatibleVariableOverride]
    name: str
    configuration: str | None = None
    data_files: dict[str, str] | None = None
    train: str = "train"
    dev: str | None = "validation"
    test: str | None = "test"
    source_field: str = "source"
    target_field: str = "target"
    tags_field: str | None = None

    @property
    def tagged(self) -> bool:
        """Whether sources have tags."""
        return self.tags_field is not None


TextSources = TsvData | JsonlData | ParallelData | HuggingFaceData
