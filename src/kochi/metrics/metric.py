"""Base class of corpus metrics: statistics counted per row, and a value of their sums.

Because the value depends on the rows only through the sums, a bootstrap resample costs one weighted
sum and does not process the text again.
"""

import abc
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

References = Sequence[Sequence[str]]


def plain_spaces(text: str) -> str:
    r"""Replace each run of white space by one space, and strip it at both ends.

    Line breaks, tabs and wide spaces are layout: a tokenizer that joins words by spaces cannot
    write them, and a prediction printed on one line has lost them.

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
        """Count the sufficient statistics of each row.

        White space in hypotheses and references is normalised first; see `plain_spaces`.
        """
        return self.count(
            [plain_spaces(text) for text in hypotheses],
            [[plain_spaces(text) for text in row] for row in references],
        )

    @abc.abstractmethod
    def count(
        self, hypotheses: Sequence[str], references: References
    ) -> Float[np.ndarray, "rows statistics"]:
        """Count as in `statistics`, for texts with normalised white space."""

    @abc.abstractmethod
    def value(self, totals: Float[np.ndarray, " statistics"]) -> float:
        """Turn the sums of the statistics over a set of rows into percent."""

    @abc.abstractmethod
    def signature(self, references: References) -> str:
        """Describe in one line how the metric is computed, so that others can reproduce it."""


def count_references(references: References) -> int | None:
    """Return the number of references per row, or None if it differs between rows.

    >>> count_references([["a", "b"], ["c", "d"]])
    2
    """
    counts = {len(row) for row in references}
    return counts.pop() if len(counts) == 1 else None
