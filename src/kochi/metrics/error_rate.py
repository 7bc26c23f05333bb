"""WER, CER and PER: edit distance to the reference over its length, counted by jiwer."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Literal

import jiwer
import numpy as np
from jaxtyping import Float
from typing_extensions import override

from kochi.metrics.metric import Metric, References, count_references

Unit = Literal["words", "characters"]


class ErrorRate(Metric):
    """Substitutions, insertions and deletions per hundred units of the reference.

    Errors and lengths are summed over the corpus before dividing, so that long rows weigh more. The
    rate can exceed 100 if predictions are longer than the references. If all references are empty
    it is jiwer's rate, the number of insertions (times 100).

    With several references, each row uses the one with the fewest errors and, among these, the
    longest; their order does not matter.

    In work on pronunciation, "WER" is another metric, the share of words with any error: see
    `kochi.metrics.exact.RowErrorRate`.

    Args:
        unit: "words" (split at white space: words, or the phones of a pronunciation) or
            "characters" (including the single spaces between words).
        lowercase: Whether case is ignored.
    """

    higher_is_better = False

    def __init__(self, unit: Unit, lowercase: bool = False):
        self.unit: Unit = unit
        self.lowercase = lowercase

    @override
    def count(
        self, hypotheses: Sequence[str], references: References
    ) -> Float[np.ndarray, "rows statistics"]:
        """Count errors and reference length (two columns) against the best reference of a row."""
        texts = [text for row in references for text in row]
        answers = [answer for answer, row in zip(hypotheses, references, strict=True) for _ in row]
        if self.lowercase:
            texts, answers = [text.lower() for text in texts], [text.lower() for text in answers]
        counts = iter(_count(answers, texts, self.unit))
        best = [min(next(counts) for _ in row) for row in references]
        return np.array([(errors, -negative) for errors, negative in best], dtype=np.float64)

    def value(self, totals: Float[np.ndarray, " statistics"]) -> float:
        """Divide errors by reference length; in percent.

        >>> ErrorRate("words").value(np.array([1.0, 4.0]))
        25.0
        """
        errors, length = totals.tolist()
        return 100.0 * errors / max(length, 1.0)

    def signature(self, references: References) -> str:
        """Return unit, number of references, how one is chosen, and jiwer's version."""
        number, case = count_references(references) or "var", "lc" if self.lowercase else "mixed"
        space = "|space:single" if self.unit == "characters" else ""
        unit = f"unit:{self.unit}{space}|best:fewest-errors"
        return f"nrefs:{number}|case:{case}|{unit}|jiwer:{version('jiwer')}"


def _count(hypotheses: list[str], references: list[str], unit: Unit) -> list[tuple[int, int]]:
    """Return (errors, minus reference length) of each pair, so that the smallest is the best."""
    if unit == "words":
        output = jiwer.process_words(references, hypotheses)
    else:
        output = jiwer.process_characters(references, hypotheses)
    return [
        (sum(_size(chunk) for chunk in chunks), -len(reference))
        for chunks, reference in zip(output.alignments, output.references, strict=True)
    ]


def _size(chunk: jiwer.AlignmentChunk) -> int:
    if chunk.type == "equal":
        return 0
    reference_length = chunk.ref_end_idx - chunk.ref_start_idx
    return max(reference_length, chunk.hyp_end_idx - chunk.hyp_start_idx)


class WordErrorRate(ErrorRate):
    """Errors per hundred words (or phones), split at white space.

    Args:
        lowercase: Whether case is ignored.
    """

    def __init__(self, lowercase: bool = False) -> None:
        super().__init__("words", lowercase)


class CharacterErrorRate(ErrorRate):
    """Errors per hundred characters, including the single spaces between words.

    Args:
        lowercase: Whether case is ignored.
    """

    def __init__(self, lowercase: bool = False) -> None:
        super().__init__("characters", lowercase)
