"""What every corpus metric is: numbers counted row by row, and a value of their sums.

Because the value depends on the rows only through the sums, a bootstrap resample costs one weighted
sum and never looks at the text again.
"""

import abc
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

References = Sequence[Sequence[str]]


def plain_spaces(text: str) -> str:
    r"""Make each run of white space one space, and drop it at both ends.

    Line breaks, tabs and wide spaces are layout: no tokenizer that joins words by spaces can write
    them, and an answer that is printed on one line has lost them.

    >>> plain_spaces("a\r\nb \t c\u3000d\n")
    'a b c d'
    """
    return " ".join(text.split())


class Metric(abc.ABC):
    """A corpus metric in percent.

    Attributes:
        higher_is_better: False for error rates.
    """

    higher_is_better: bool

    def statistics(
        self, hypotheses: Sequence[str], references: References
    ) -> Float[np.ndarray, "rows statistics"]:
        """Count what the metric needs to know of each row (its sufficient statistics).

        White space is made alike in hypotheses and references first; see `plain_spaces`.
        """
        return self.count(
            [plain_spaces(text) for text in hypotheses],
            [[plain_spaces(text) for text in row] for row in references],
        )

    @abc.abstractmethod
    def count(
        self, hypotheses: Sequence[str], references: References
    ) -> Float[np.ndarray, "rows statistics"]:
        """Count as in `statistics`, of texts whose words have single spaces between them."""

    @abc.abstractmethod
    def value(self, totals: Float[np.ndarray, " statistics"]) -> float:
        """Turn the sums of the statistics over a set of rows into percent."""

    @abc.abstractmethod
    def signature(self, references: References) -> str:
        """Say in one line how the metric was computed, so that another can repeat it."""


def count_references(references: References) -> int | None:
    """Give the number of references a row, or None where it differs between rows.

    >>> count_references([["a", "b"], ["c", "d"]])
    2
    """
    counts = {len(row) for row in references}
    return counts.pop() if len(counts) == 1 else None
