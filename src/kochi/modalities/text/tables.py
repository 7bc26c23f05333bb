"""Data tables of text pairs."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from kochi.modalities.tables import BaseData, Column, Separated, Tokens
from kochi.tables import Table


class TextData(BaseData):
    """Options of all data that are text on both sides.

    ``shared_vocabulary`` trains one tokenizer for both sides. Tags of a source, such as ``N;PL``,
    are split at ``tags_separator``; each is one symbol in front of the source (see
    `kochi.data.tags`).
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
                "data.shared_vocabulary and tags exclude each other: only the source has tag "
                "symbols; set data.shared_vocabulary = false"
            )
        return self


class TsvData(TextData, Separated):
    """A table of text.

    Columns are given by name, or all by number (from 1) if there is no header row. In dev and test
    data, several target columns are several references of a row. ``tags_column`` is one column or
    a list of them.
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
    """JSON objects, one per line or in an array; fields may be dotted (``translation.en``).

    The target is a string or a list of strings (references), and so are the tags.
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
    """Parallel files, one sentence per line, plain or gzip."""

    kind: Literal["parallel"]  # pyright: ignore[reportIncompatibleVariableOverride]
    train: ParallelFiles
    dev: ParallelFiles | None = None
    test: ParallelFiles | None = None


class HuggingFaceData(TextData):
    """A data set read with the optional ``datasets`` package (``pip install kochi[huggingface]``).

    ``name`` is the argument of ``datasets.load_dataset``; fields may be dotted
    (``translation.en``).
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
