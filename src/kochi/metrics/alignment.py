"""Word alignments against gold: alignment error rate, precision and recall.

Och and Ney 2003, "A systematic comparison of various statistical alignment models", Computational
Linguistics 29(1), https://aclanthology.org/J03-1002.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kochi.metrics.bootstrap import interval, resampled_totals, resampled_values
from kochi.metrics.evaluate import Score
from kochi.metrics.names import check_bootstrap

Link = tuple[int, int]  # index of a source word, index of a target word; from 0
_LINK = re.compile(r"(\d+)([-?p])(\d+)")
SIGNATURE = "links:corpus|unit:{unit}|formula:och-ney-2003"


@dataclass(frozen=True)
class GoldLinks:
    """Gold alignment links between a sentence and its translation.

    Attributes:
        sure: Sure links, which an alignment must contain.
        possible: Possible links, which it may contain; a superset of the sure ones.
    """

    sure: frozenset[Link]
    possible: frozenset[Link]


def read_links(line: str) -> GoldLinks:
    """Read links in the Pharaoh format.

    "3-1" is a sure link between source word 3 and target word 1, "3?1" (or "3p1") a possible one;
    words are counted from 0.

    Raises:
        ValueError: An item is not a link; the message names it.

    >>> gold = read_links("0-0 1?2")
    >>> sorted(gold.sure), sorted(gold.possible)
    ([(0, 0)], [(0, 0), (1, 2)])
    """
    sure, possible = set(), set()
    for part in line.split():
        found = _LINK.fullmatch(part)
        if found is None:
            raise ValueError(
                f"{part!r} is not a link; expected links such as 0-0 (sure) or 0?1 (possible)"
            )
        link = int(found[1]), int(found[3])
        possible.add(link)
        if found[2] == "-":
            sure.add(link)
    return GoldLinks(frozenset(sure), frozenset(possible))


def count_links(
    found: Sequence[Collection[Link]], gold: Sequence[GoldLinks]
) -> Float[np.ndarray, "rows 4"]:
    """Count for each row: links, possible links among them, sure ones among them, gold sure links.

    Raises:
        ValueError: The numbers of rows differ, or there are none.

    >>> count_links([{(0, 0), (1, 1)}], [read_links("0-0 1?1 2-2")]).tolist()
    [[2.0, 2.0, 1.0, 2.0]]
    """
    if len(found) != len(gold):
        raise ValueError(f"gold: {len(gold)} rows, but links were found in {len(found)}")
    if not gold:
        raise ValueError("gold: no rows; a score needs at least one")
    rows = []
    for links, row in zip(map(set, found), gold, strict=True):
        rows.append((len(links), len(links & row.possible), len(links & row.sure), len(row.sure)))
    return np.array(rows, dtype=np.float64)


def error_rate(counts: Float[np.ndarray, "4"]) -> float:
    """Return the alignment error rate of the counts of `count_links`, in percent.

    1 - (|found and sure| + |found and possible|) / (|found| + |sure|): 0 if all sure links and only
    possible ones were found, and also if there are no links at all.

    >>> error_rate(np.array([2.0, 2.0, 1.0, 2.0]))
    25.0
    """
    found, possible, sure, wanted = counts.tolist()
    both = found + wanted
    return 100.0 * (1.0 - (possible + sure) / both) if both else 0.0


def precision(counts: Float[np.ndarray, "4"]) -> float:
    """Return the share of the found links that are possible, in percent."""
    found, possible, _, _ = counts.tolist()
    return 100.0 * possible / max(found, 1.0)


def recall(counts: Float[np.ndarray, "4"]) -> float:
    """Return the share of the sure links that were found, in percent."""
    _, _, sure, wanted = counts.tolist()
    return 100.0 * sure / max(wanted, 1.0)


def alignment_scores(
    found: Sequence[Collection[Link]],
    gold: Sequence[GoldLinks],
    *,
    unit: str = "words",
    resamples: int = 1000,
    confidence: float = 95.0,
    seed: int = 1,
) -> dict[str, Score]:
    """Score word alignments over the corpus, with bootstrap intervals over the rows.

    Args:
        found: The predicted links of each row, (source word, target word).
        gold: The gold links of each row.
        unit: The unit of the links, for the signature.
        resamples: Number of bootstrap resamples.
        confidence: Confidence level of the interval, in percent.
        seed: Seed of the resampling.

    Returns:
        "aer" (less is better), "precision" and "recall", in percent.

    Raises:
        ValueError: The numbers of rows differ, there are none, or a number is out of range.

    >>> scores = alignment_scores([{(0, 0)}, {(1, 0)}], [read_links("0-0"), read_links("0-0 1?0")])
    >>> scores["aer"].value, scores["precision"].value, scores["recall"].value
    (25.0, 100.0, 50.0)
    """
    check_bootstrap(resamples, confidence)
    counts = count_links(found, gold)
    totals = resampled_totals(counts, resamples, seed)
    scores = {}
    for name, value in (("aer", error_rate), ("precision", precision), ("recall", recall)):
        low, high = interval(resampled_values(totals, value), confidence)
        here = value(counts.sum(axis=0))
        scores[name] = Score(name, here, low, high, confidence, SIGNATURE.format(unit=unit))
    return scores
