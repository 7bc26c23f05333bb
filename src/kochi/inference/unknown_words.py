"""Replacement of unknown words and characters in predictions: copied from the source, or marked.

Luong, Sutskever, Le, Vinyals and Zaremba 2015, "Addressing the rare word problem in neural machine
translation", https://aclanthology.org/P15-1002, copy by learned positions; Jean, Cho, Memisevic and
Bengio 2015, https://aclanthology.org/P15-1001, section 4.1, by the alignment of attention, as here.
They replace predicted unknown tokens only. Here a known token is replaced as well if it is aligned
to an unknown part of the source: a model whose vocabularies contain every token of its training
data never predicts the unknown token, and what it predicts there is a guess.
"""

from collections.abc import Sequence
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from kochi.data.readers.base import Reader
from kochi.data.tokenizer import Tokenizer
from kochi.special_tokens import UNK

Unknown = Literal["copy", "mark", "drop"]
MARK = "⟨unk⟩"
CLEAR = 0.5  # a position with at least as much weight as all others together


class Copier:
    """Replaces the tokens of predictions that represent something unknown.

    Args:
        unknown: "copy" or "mark"; see `kochi.config.Search`.
        target: The tokenizer of the targets.
        source: The reader of the source; "copy" needs a reader of text, and marks otherwise.
        text: The source, in a form that the reader accepts.
        row: The encoded source.
    """

    def __init__(
        self,
        unknown: Unknown,
        target: Tokenizer,
        source: Reader[Any] | None = None,
        text: Any = "",
        row: Sequence[int] = (),
    ) -> None:
        self._copies = unknown == "copy"
        self._target = target
        self._row = row
        self._parts: Sequence[str | None] = ()
        self._words: Sequence[int | None] = ()
        self._spelt: Sequence[str] = ()
        if source is not None:
            self._parts, self._words = source.parts_of(text), source.words(text)
            self._spelt = source.spelt(text)

    def replace(
        self, tokens: Sequence[int], alignment: Float[Tensor, "target source"] | None
    ) -> dict[int, str]:
        """Return the replacements of tokens in a prediction.

        A token is replaced by the part of the source that it is aligned to, if its alignment is
        clear (`CLEAR`) and that part is unknown, or the token itself is. An unknown word of the
        target is replaced by a whole word of the source. Adjacent tokens that are aligned to the
        same part are replaced by it once. An unknown token without a clear alignment is marked.

        Args:
            tokens: The prediction, without the end mark.
            alignment: The alignment of the prediction, or None if there is none.

        Returns:
            The replacement of each replaced token, by its index; "" for the rest of a copied part.
        """
        replaced: dict[int, str] = {}
        before = None
        for position, token in enumerate(tokens):
            found = None if alignment is None else self._origin(token, alignment[position].tolist())
            if found is not None:
                replaced[position] = "" if found == before else self._copy(*found)
            elif token == UNK:
                replaced[position] = MARK
            before = found
        return replaced

    def _origin(self, token: int, weights: list[float]) -> tuple[str, int] | None:
        """Return the part or word of the source that is to replace a token."""
        if not self._parts:
            return None
        best = max(range(len(weights)), key=weights.__getitem__)
        clear = weights[best] >= CLEAR and best < len(self._row) and self._parts[best] is not None
        if clear and self._row[best] == UNK:
            return "part", best
        if token != UNK:
            return None
        if self._target.parts == "words":
            sums = [0.0] * len(self._spelt)
            for number, weight in zip(self._words, weights, strict=False):
                if number is not None and number < len(sums):  # the last one is that of tags
                    sums[number] += weight
            word = max(range(len(sums)), key=sums.__getitem__, default=0)
            return ("word", word) if sums and sums[word] >= CLEAR else None
        # A BPE token is more than the single character that the unknown token represents.
        return ("part", best) if clear and self._target.kind == "characters" else None

    def _copy(self, kind: str, position: int) -> str:
        if not self._copies:
            return MARK
        text = self._parts[position] if kind == "part" else self._spelt[position]
        return (text or "").strip()
