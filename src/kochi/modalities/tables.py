"""What the data tables of several modalities have in common."""

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
        raise ValueError(f"unknown encoding {name!r}; such as utf-8, utf-16, cp1252") from None
    return name


Encoding = Annotated[str, AfterValidator(_known_encoding)]


class Tokens(Table):
    """How one side of the pairs is cut into tokens.

    ``vocabulary_size`` counts BPE pieces, special tokens included (``None``: at most 8000); for
    characters and whitespace it keeps the most frequent tokens (``None`` keeps all).
    ``normalization`` brings text to a Unicode normal form before it is cut, in training and in
    prediction: "nfc" makes é one character however it was typed, "nfkc" also makes full-width and
    other compatibility characters plain ones.
    """

    tokens: Literal["characters", "whitespace", "bpe"] = "bpe"
    vocabulary_size: Positive | None = None
    lowercase: bool = False
    normalization: Normalization = "nfc"


class BaseData(Table):
    """What all data have in common. Relative paths start at ``folder``.

    ``folder`` itself starts at the run file's folder. Pairs with more than ``max_length`` tokens of
    text on a side are left out of training (and counted in the log). ``tokenized`` says that the
    text is tokenised already: BLEU then counts its tokens as they are. ``encoding`` is that of all
    files of text; a byte-order mark in a file takes precedence.

    With ``group_references`` rows of one source (the same text, file, or stretch of a recording)
    are one source with several right answers in dev and test data; in training data each row is a
    pair of its own. ``row`` says what a row is: with "word" the metric "wer" is the share of rows
    with any error, as in work on pronunciation and inflection; with "text" it counts errors in the
    words of a row. If it is not set, a row is a word where the source is text in characters without
    white space and the target is cut at white space (see `kochi.metrics.judge.wer_unit`).

    ``bad_rows`` says what becomes of rows that cannot be used (a side is empty, cells are missing,
    a file cannot be read): they are left out and counted, or the first one stops the run.
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

    sources_folder: ClassVar[str | None] = None  # the key that names the folder of the sources

    @property
    def source_folders(self) -> list[Path]:
        """Where the files of sources are, the innermost folder first."""
        own = None if self.sources_folder is None else getattr(self, self.sources_folder)
        return [self.folder] if own is None else [self.folder / own, self.folder]


class Separated(Table):
    """How rows of a table are cut into cells.

    ``quoted`` reads cells as spreadsheets write them: one in double quotes may hold the separator,
    line breaks, and quotes written twice. Then ``separator`` is one character.
    """

    separator: Annotated[str, Field(min_length=1)] = "\t"
    quoted: bool = False

    @model_validator(mode="after")
    def _quoted_cells_have_a_short_separator(self) -> "Separated":
        if self.quoted and len(self.separator) > 1:
            raise ValueError(
                f"data.separator = {self.separator!r}: expected one character with data.quoted"
            )
        return self


class ManifestData(BaseData, Separated):
    """What all data have in common whose text stands in a manifest beside what is heard or seen.

    A manifest is a table with a header, or JSON objects, one a line or in an array. Where one
    manifest holds several splits, ``split_column`` names the column that says which of them
    ("train", "dev" or "test") a row is of.
    """

    split_column: str | None = None


class HeardData(ManifestData):
    """What all data have in common that last for some time.

    Rows that last longer than ``max_seconds`` are left out of training (and counted in the log).
    """

    text_column: str = "text"
    max_seconds: Seconds = 30.0


class Frames(Table):
    """What is done to frames before a model reads them.

    ``deltas`` counts the differences over time (first, second) that are put beside each number.
    ``normalisation`` then brings every number to mean 0 and standard deviation 1: "global" over the
    training data (kept with the model), "utterance" over each row by itself.
    """

    deltas: Annotated[int, Field(ge=0, le=2)] = 0
    normalisation: Literal["global", "utterance", "none"] = "global"
