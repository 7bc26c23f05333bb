"""Scores by name, with confidence intervals."""

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from kochi.metrics.bootstrap import interval, resampled_totals, resampled_values
from kochi.metrics.metric import References
from kochi.metrics.names import check_bootstrap, check_rows, make_metric


@dataclass(frozen=True)
class Score:
    """A corpus score and its bootstrap interval.

    Attributes:
        name: The metric.
        value: Percent.
        low: Lower end of the interval, percent.
        high: Upper end of the interval, percent.
        confidence: Confidence level of the interval, in percent.
        signature: How the score was computed (sacrebleu's own for BLEU and chrF).
    """

    name: str
    value: float
    low: float
    high: float
    confidence: float
    signature: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return f"{_title(self.name)} {self.value:.1f} % [{self.low:.1f}, {self.high:.1f}]"


def evaluate(
    names: Collection[str],
    hypotheses: Sequence[str],
    references: References,
    *,
    tokenize: str = "13a",
    lowercase: bool = False,
    wer: str = "words",
    resamples: int = 1000,
    confidence: float = 95.0,
    seed: int = 1,
) -> dict[str, Score]:
    """Score predictions with several metrics and bootstrap intervals over the rows.

    Args:
        names: Metrics, from `METRICS`. "wer" counts words split at spaces (but see ``wer``), "cer"
            characters, and "per" phones separated by spaces; all three are edit distances divided
            by the reference length. "exact" is the share of rows that match exactly.
        hypotheses: One prediction per row, possibly empty. In all metrics, any white space,
            including line breaks, counts as one space and is ignored at the ends.
        references: The references of each row, at least one (a list of lists of strings). BLEU
            combines them as sacrebleu does; the other metrics use the best one of a row.
        tokenize: For BLEU only: "13a" for plain text; "none" for tokenized text, which gives
            tokenized BLEU as in papers on Multi30k.
        lowercase: Ignore case in every metric.
        wer: With "rows", "wer" is the share of rows with any error (100 minus "exact"): the word
            error rate if each row is one word, as in work on pronunciation.
        resamples: Number of bootstrap resamples.
        confidence: Confidence level of the interval, in percent.
        seed: Seed of the resampling.

    Returns:
        A score for each name, in the order of ``names``.

    Raises:
        ValueError: A name is unknown, there are no rows, the numbers of rows differ, a row has no
            reference or a string in place of a list, or a number is out of range.

    >>> evaluate(["exact"], ["a b", "c"], [["a b"], ["d", "c"]])["exact"].value
    100.0
    """
    check_rows(hypotheses, references)
    check_bootstrap(resamples, confidence)
    scores = {}
    for name in names:
        metric = make_metric(name, tokenize, lowercase, wer)
        statistics = metric.statistics(hypotheses, references)
        totals = resampled_totals(statistics, resamples, seed)
        low, high = interval(resampled_values(totals, metric.value), confidence)
        value = metric.value(statistics.sum(axis=0))
        signature = metric.signature(references)
        scores[name] = Score(name, value, low, high, confidence, signature)
    return scores


def corpus_metric(
    name: str,
    hypotheses: Sequence[str],
    references: References,
    *,
    tokenize: str = "13a",
    lowercase: bool = False,
    wer: str = "words",
) -> float:
    """Compute one metric in percent without an interval; arguments and errors as in `evaluate`.

    >>> corpus_metric("wer", ["a b x d"], [["a b c d"]])
    25.0
    """
    check_rows(hypotheses, references)
    metric = make_metric(name, tokenize, lowercase, wer)
    statistics = metric.statistics(hypotheses, references)
    return metric.value(statistics.sum(axis=0))


def pronunciation(
    hypotheses: Sequence[str],
    references: References,
    *,
    resamples: int = 1000,
    confidence: float = 95.0,
    seed: int = 1,
) -> dict[str, Score]:
    """Compute the two metrics of grapheme-to-phoneme conversion against the listed pronunciations.

    "wer" is the share of words with any wrong phone (see `kochi.metrics.exact.RowErrorRate`), "per"
    the phones inserted, deleted or replaced per hundred phones of the closest listed pronunciation.

    Args:
        hypotheses: One pronunciation per word, with phones separated by spaces.
        references: The listed pronunciations of each word.
        resamples: As in `evaluate`.
        confidence: As in `evaluate`.
        seed: As in `evaluate`.

    Raises:
        ValueError: As in `evaluate`.

    >>> scores = pronunciation(["K AE T", "D AA G"], [["K AE T"], ["D AO G", "D AO"]])
    >>> scores["wer"].value, round(scores["per"].value, 1)
    (50.0, 16.7)
    """
    return evaluate(
        ["wer", "per"],
        hypotheses,
        references,
        wer="rows",
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )


def _title(name: str) -> str:
    titles = {
        "bleu": "BLEU",
        "chrf": "chrF",
        "exact": "exact match",
        "pointing": "pointing accuracy",
        "pointing_mass": "alignment in the box",
    }
    return titles.get(name, name.upper())
