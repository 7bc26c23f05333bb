"""Exact match: the share of rows whose answer is one of the references."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from kochi.metrics.metric import Metric, References, count_references


class ExactMatch(Metric):
    """Rows answered exactly, in percent of all rows.

    An answer is right where it equals any reference of its row; runs of white space count as one
    space and none at the ends.

    Args:
        lowercase: Whether case is ignored.
    """

    higher_is_better = True

    def __init__(self, lowercase: bool = False):
        self.lowercase = lowercase

    def statistics(
        self, hypotheses: Sequence[str], references: References
    ) -> Float[np.ndarray, "rows statistics"]:
        """Count right answers and rows (two columns)."""
        rows = [
            (self._words(hypothesis) in [self._words(text) for text in row], 1.0)
            for hypothesis, row in zip(hypotheses, references, strict=True)
        ]
        return np.array(rows, dtype=np.float64)

    def value(self, totals: Float[np.ndarray, " statistics"]) -> float:
        """Divide right answers by rows; in percent.

        >>> ExactMatch().value(np.array([3.0, 4.0]))
        75.0
        """
        right, rows = totals.tolist()
        return 100.0 * right / rows

    def signature(self, references: References) -> str:
        """Say the number of references and whether case counts."""
        number, case = count_references(references) or "var", "lc" if self.lowercase else "mixed"
        return f"nrefs:{number}|case:{case}|exact:any-reference"

    def _words(self, text: str) -> list[str]:
        return (text.lower() if self.lowercase else text).split()
