"""Paired comparison of two systems on the same rows."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from kochi.metrics.bootstrap import interval, resampled_totals, resampled_values, two_sided_p
from kochi.metrics.metric import Metric, References
from kochi.metrics.names import check_bootstrap, check_rows, make_metric


@dataclass(frozen=True)
class Comparison:
    """The comparison of two systems on the same rows.

    Attributes:
        name: The metric.
        first: The first system's score, percent.
        second: The second system's score, percent.
        difference: Second minus first, percentage points.
        low: Lower end of the interval of the difference, percentage points.
        high: Upper end of the interval of the difference, percentage points.
        p_value: Two-sided p-value of the difference.
        better: "second" or "first" if the interval excludes 0, else None. For error rates, lower is
            better.
        confidence: Confidence level of the interval, in percent.
        signature: How the scores were computed.
    """

    name: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float
    better: str | None
    confidence: float
    signature: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return dataclasses.asdict(self)


def compare(
    name: str,
    first: Sequence[str],
    second: Sequence[str],
    references: References,
    *,
    tokenize: str = "13a",
    lowercase: bool = False,
    wer: str = "words",
    resamples: int = 1000,
    confidence: float = 95.0,
    seed: int = 1,
) -> Comparison:
    """Test whether the second system differs from the first, by paired bootstrap resampling.

    Each resample draws the same rows for both systems (Koehn 2004, section 4,
    https://aclanthology.org/W04-3250).

    Args:
        name: The metric, from `METRICS`.
        first: Predictions of the first system, one per row.
        second: Predictions of the second system for the same rows.
        references: As in `evaluate`.
        tokenize: As in `evaluate`.
        lowercase: As in `evaluate`.
        wer: As in `evaluate`.
        resamples: As in `evaluate`.
        confidence: As in `evaluate`.
        seed: As in `evaluate`.

    Raises:
        ValueError: As in `evaluate`.
    """
    check_rows(first, references)
    check_rows(second, references)
    check_bootstrap(resamples, confidence)
    metric = make_metric(name, tokenize, lowercase, wer)
    rows = [metric.statistics(answers, references) for answers in (first, second)]
    values = [metric.value(statistics.sum(axis=0)) for statistics in rows]
    differences = _paired_differences(metric, rows[0], rows[1], resamples, seed)
    low, high = interval(differences, confidence)
    difference = values[1] - values[0]
    return Comparison(
        name=name,
        first=values[0],
        second=values[1],
        difference=difference,
        low=low,
        high=high,
        p_value=two_sided_p(differences, difference),
        better=_better(low, high, metric.higher_is_better),
        confidence=confidence,
        signature=metric.signature(references),
    )


def _paired_differences(
    metric: Metric,
    first: Float[np.ndarray, "rows statistics"],
    second: Float[np.ndarray, "rows statistics"],
    resamples: int,
    seed: int,
) -> Float[np.ndarray, " resamples"]:
    totals = resampled_totals(np.concatenate([first, second], axis=1), resamples, seed)
    width = first.shape[1]
    first_values = resampled_values(totals[:, :width], metric.value)
    return resampled_values(totals[:, width:], metric.value) - first_values


def _better(low: float, high: float, higher_is_better: bool) -> str | None:
    if low <= 0.0 <= high:
        return None
    return "second" if (low > 0.0) == higher_is_better else "first"
