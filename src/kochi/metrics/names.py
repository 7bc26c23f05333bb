"""The metrics by name, and the checks of all scoring functions."""

from collections.abc import Sequence
from typing import Literal

from kochi.components import Slot
from kochi.metrics.error_rate import CharacterErrorRate, WordErrorRate
from kochi.metrics.exact import ExactMatch, RowErrorRate
from kochi.metrics.metric import Metric, References
from kochi.metrics.overlap import Bleu, Chrf

METRICS = Slot(
    "metric",
    Metric,
    {
        "bleu": Bleu,
        "chrf": Chrf,
        "wer": WordErrorRate,
        "cer": CharacterErrorRate,
        "per": WordErrorRate,
        "exact": ExactMatch,
    },
    supplies=("lowercase", "tokenize"),
)
WerUnit = Literal["words", "rows"]


def make_metric(
    name: str, tokenize: str = "13a", lowercase: bool = False, wer: str = "words"
) -> Metric:
    """Create a metric by its name.

    Args:
        name: One of `METRICS`, or the path of a class.
        tokenize: sacrebleu's tokenizer; BLEU only.
        lowercase: Whether case is ignored.
        wer: What "wer" counts: errors in "words" (whatever stands between spaces), over the
            words of the reference; or "rows" with any error, over all rows, where each row is
            one word.

    Raises:
        ValueError: The name, the tokenizer or the unit is unknown.
    """
    if wer not in ("words", "rows"):
        raise ValueError(f"wer = {wer!r}; expected 'words' or 'rows'")
    if name == "wer" and wer == "rows":
        return RowErrorRate(lowercase)
    return METRICS.choose(name).build(lowercase=lowercase, tokenize=tokenize)


def higher_is_better(name: str) -> bool:
    """Say whether more of the metric is better (True) or less (False: error rates, and "loss").

    Raises:
        ValueError: The name is unknown.

    >>> higher_is_better("bleu"), higher_is_better("per")
    (True, False)
    """
    return name != "loss" and make_metric(name).higher_is_better


def check_rows(hypotheses: Sequence[str], references: References) -> None:
    """Raise ValueError where there is nothing to score or rows do not belong together."""
    if len(hypotheses) != len(references):
        raise ValueError(
            f"references: {len(references)} rows, but there are {len(hypotheses)} hypotheses"
        )
    if not hypotheses:
        raise ValueError("hypotheses: no rows; a score needs at least one")
    for number, row in enumerate(references, start=1):
        if isinstance(row, str) or not row:
            raise ValueError(f"references: row {number} is {row!r}; expected a list of strings")


def check_bootstrap(resamples: int, confidence: float) -> None:
    """Raise ValueError where a number is out of range."""
    if resamples < 1:
        raise ValueError(f"resamples = {resamples}; expected at least 1")
    if not 0.0 < confidence < 100.0:
        raise ValueError(f"confidence = {confidence}; expected percent between 0 and 100")
