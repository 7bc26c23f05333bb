"""A source, its prediction, and the alignment between them, ready for drawing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from kochi.memory import Layout

if TYPE_CHECKING:
    from kochi.data.readers.base import Reader
    from kochi.timestamps import Timed


@dataclass(frozen=True)
class Attended:
    """A source, its prediction, and the alignment between them.

    Attributes:
        reader: The reader of the source.
        source: The source in a form that the reader accepts.
        text: The predicted text.
        tokens: The tokens of the text.
        pieces: The text that each token adds, including its spaces.
        alignment: One row per token.
        layout: Where the columns of the alignment are in the source.
        source_tokens: The names of the columns; empty if they have none.
        words: The words of the text with their times, if these are known.
        row: The encoded source, if available.
    """

    reader: "Reader[Any]"
    source: Any
    text: str
    tokens: Sequence[str]
    pieces: Sequence[str]
    alignment: Float[Tensor, "target source"]
    layout: Layout
    source_tokens: Sequence[str] = ()
    words: "Sequence[Timed]" = ()
    row: Any = field(default=None, repr=False)

    def encoded(self) -> Any:
        """Return the source as encoded by the reader.

        Raises:
            UserError: The source can no longer be read.
        """
        return self.reader.encode(self.source) if self.row is None else self.row
