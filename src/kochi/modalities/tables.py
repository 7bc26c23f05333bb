"""Data tables that several modalities share."""

import codecs
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from kochi.normal_forms import Normalization
from kochi.schema import ChosenName
from kochi.tables import Positive, Table

Column = str | Positive
Seconds = Annotated[float, Field(gt=0.0, le=1e6)]
Hop = Annotated[float, Field(ge=1e-5, le=1e3)]


def _known_encoding(name: str) -> str:
    try:
        "".encode(name)
        codecs.lookup(name)
    except (LookupError, UnicodeError, ValueError):
        raise ValueError(
            f"unknown encoding {name!r}; expected a name such as utf-8, utf-16 or cp1252"
        ) from None
    return name


Encoding = Annotated[str, AfterValidator(_known_encoding)]


class Tokens(Table):
    """How one side of the pairs is tokenized.

    ``vocabulary_size`` is the number of BPE pieces, including special tokens (default: at most
    8000). For characters and whitespace, only that many of the most frequent tokens are kept
    (default: all). ``normalization`` converts text to a Unicode normal form before tokenization, in
    training and in prediction: with "nfc", é is one character however it was typed; "nfkc" also
    replaces full-width and other compatibility characters.
    """

    tokens: Literal["characters", "whitespace", "bpe"] = "bpe"
    vocabulary_size: Positive | None = None
    lowercase: bool = False
    normalization: Normalization = "nfc"


class BaseData(Table):
    """Options of all kinds of data. Paths are relative to ``folder``.

    ``folder`` itself is relative to the run file's folder. Pairs with more than ``max_length``
    tokens of text on a side are left out of training (and counted in the log). ``tokenized`` means
    that the target text is already tokenized: BLEU then does not tokenize it again. ``encoding``
    applies to all text files; a byte-order mark in a file takes precedence.

    With ``group_references``, dev and test rows with the same source (the same text, file, or
    segment of a recording) count as one source with several references. In training data, each row
    is a pair of its own.

    ``row`` sets what the metric "wer" counts. With "word" it is the share of rows with any error,
    as is usual for pronunciation and inflection; with "text" it counts errors in the words of a
    row. By default, a row is a word if the source is text in characters without white space and the
    target is split at white space (see `kochi.metrics.judge.wer_unit`).

    ``bad_rows`` sets how to treat rows that cannot be used because a side is empty, cells are
    missing, or a file cannot be read: "leave_out" skips and counts them, "refuse" stops at the
    first one.
    """

    kind: Annotated[str, ChosenName("kochi.modalities:MODALITIES")]
    folder: Path = Path(".")
    encoding: Encoding = "utf-8"
    target: Tokens = Tokens()
    tokenized: bool = False
    max_length: Positive = 256
    group_references: bool = True
    row: Literal["word", "text"] | None = None
    bad_rows: Literal["leave_out", "refuse"] = "leave_out"

    sources_folder: ClassVar[str | None] = None  # the key with the folder of the source files

    @property
    def source_folders(self) -> list[Path]:
        """The folders to search for source files, the innermost first."""
        own = None if self.sources_folder is None else getattr(self, self.sources_folder)
        return [self.folder] if own is None else [self.folder / own, self.folder]


class Separated(Table):
    """How rows of a table are split into cells.

    With ``quoted``, cells are read as spreadsheets write them: a cell in double quotes may contain
    the separator, line breaks, and doubled quotes. ``separator`` must then be one character.
    """

    separator: Annotated[str, Field(min_length=1)] = "\t"
    quoted: bool = False

    @model_validator(mode="after")
    def _quoted_cells_have_a_short_separator(self) -> "Separated":
        if self.quoted and len(self.separator) > 1:
            raise ValueError(
                f"data.separator = {self.separator!r}: must be one character with data.quoted"
            )
        return self


class ManifestData(BaseData, Separated):
    """Options of all data that have a manifest with the paths and text of recordings or images.

    A manifest is a table with a header, or JSON objects, one per line or in an array. If one
    manifest contains several splits, ``split_column`` names the column with the split of each row
    ("train", "dev" or "test").
    """

    split_column: str | None = None


class HeardData(ManifestData):
    """Options of all data with a duration.

    Rows longer than ``max_seconds`` are left out of training (and counted in the log).
    """

    text_column: str = "text"
    max_seconds: Seconds = 30.0


class Frames(Table):
    """How frames are processed before a model reads them.

    ``deltas`` is the number of differences over time (first, second) that are appended to each
    frame. ``normalisation`` then scales every feature to mean 0 and standard deviation 1: "global"
    over the training data (the statistics are stored with the model), "utterance" over each row.
    """

    deltas: Annotated[int, Field(ge=0, le=2)] = 0
    normalisation: Literal["global", "utterance", "none"] = "global"
