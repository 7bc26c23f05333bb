"""Exact match: the share of rows whose prediction is one of the references."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from typing_extensions import override

from kochi.metrics.metric import Metric, References, count_references


class ExactMatch(Metric):
    """Share of rows whose prediction equals any of their references, in percent.

    Args:
        lowercase: Whether case is ignored.
    """

    higher_is_better = True

    def __init__(self, lowercase: bool = False):
        self.lowercase = lowercase

    @override
    def count(
        self, hypotheses: Sequence[str], references: References
    ) -> Float[np.ndarray, "rows statistics"]:
        """Count exact matches and rows (two columns)."""
        rows = [
            (self._cased(hypothesis) in [self._cased(text) for text in row], 1.0)
            for hypothesis, row in zip(hypotheses, references, strict=True)
        ]
        return np.array(rows, dtype=np.float64)

    def value(self, totals: Float[np.ndarray, " statistics"]) -> float:
        """Divide exact matches by rows; in percent.

        >>> ExactMatch().value(np.array([3.0, 4.0]))
        75.0
        """
        right, rows = totals.tolist()
        return 100.0 * right / rows

    def signature(self, references: References) -> str:
        """Return the number of references and whether case counts."""
        number, case = count_references(references) or "var", "lc" if self.lowercase else "mixed"
        return f"nrefs:{number}|case:{case}|exact:any-reference"

    def _cased(self, text: str) -> str:
        return text.lower() if self.lowercase else text


class RowErrorRate(ExactMatch):
    """Share of rows with any error, in percent: 100 minus `ExactMatch`.

    If each source is one word, this is the word error rate in work on pronunciation and inflection:
    the share of words with any error (SIGMORPHON 2021 shared task,
    https://aclanthology.org/2021.sigmorphon-1.13; Toshniwal and Livescu 2016,
    https://arxiv.org/abs/1610.06540).
    """

    higher_is_better = False

    @override
    def value(self, totals: Float[np.ndarray, " statistics"]) -> float:
        """Divide rows with errors by rows; in percent.

        >>> RowErrorRate().value(np.array([3.0, 4.0]))
        25.0
        """
        return 100.0 - super().value(totals)

    @override
    def signature(self, references: References) -> str:
        """Return the signature of `ExactMatch`, with the note that rows are counted."""
        return f"{super().signature(references)}|wer:rows-with-any-error"
