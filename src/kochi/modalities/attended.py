"""A source, what was written for it, and what was attended to meanwhile: what is drawn."""

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
    """A source, what was written for it, and what was attended to meanwhile.

    Attributes:
        reader: Reads the source.
        source: As the reader takes it.
        text: What was written.
        tokens: Its tokens.
        pieces: What each of them adds to the text, with its spaces.
        alignment: A row for each token.
        layout: What the columns of the alignment are.
        source_tokens: Their names; empty where they have none.
        words: When each word of the text was said, where that is known.
        row: What the reader made of the source, if it is at hand.
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
        """Return what the reader makes of the source.

        Raises:
            UserError: It cannot be read any more.
        """
        return self.reader.encode(self.source) if self.row is None else self.row
