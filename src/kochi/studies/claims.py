"""Claims as objects, defined before anything is measured, and the single rule that judges them.

A claim consists of tests. Each has an estimand and the range that the claim predicts for it: above
0 if something is better, above a negative margin if it is no worse, between two margins if it is
"about" the same. A test holds if the whole 95 % interval lies in the range, and is refuted if the
whole interval lies outside it. A claim holds if all its tests do, is refuted if one of them is, and
otherwise is not shown.

As a page has many claims, each verdict is given twice: uncorrected, and corrected for the family of
claims on the page (Holm 1979, https://www.jstor.org/stable/4615733).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable

from kochi.studies.estimates import CONFIDENCE, FEWEST, Estimate, Figure

Verdict = Literal["holds", "refuted", "not shown", "not judged"]


@dataclass(frozen=True)
class Source:
    """The source of a claim.

    Attributes:
        paper: Authors and year; "ours" if no paper makes the claim.
        place: Section, table or figure.
        says: The statement in the paper, with its figures.
        differs: Differences between the paper and this study.
        link: URL of the paper.
    """

    paper: str
    place: str = ""
    says: str = ""
    differs: str = ""
    link: str = ""

    def show(self) -> str:
        """Format paper and section."""
        return f"{self.paper}, {self.place}" if self.place else self.paper


@dataclass(frozen=True)
class Range:
    """The range that a claim predicts for an estimand, excluding its ends."""

    low: float = -math.inf
    high: float = math.inf

    def show(self) -> str:
        """Describe the range in words.

        >>> Range(0.0).show(), Range(-1.0, 1.0).show(), Range(high=5.0).show()
        ('above 0', 'between -1 and 1', 'below 5')
        """
        if math.isinf(self.high):
            return f"above {self.low:g}"
        if math.isinf(self.low):
            return f"below {self.high:g}"
        return f"between {self.low:g} and {self.high:g}"


ABOVE_ZERO = Range(0.0)
R = TypeVar("R", contravariant=True)


@runtime_checkable
class Measurements(Protocol):
    """A reading that can exclude the models that did not train."""

    def trained_only(self, exempt: frozenset[str]) -> "Measurements":
        """Return a copy without models that did not train, except the exempt ones."""
        ...


@dataclass(frozen=True)
class Test(Generic[R]):
    """An estimand of a claim.

    Attributes:
        estimand: Its description, with the unit.
        measure: Computes it from the measurements; None if some are missing.
        range: The range that the claim predicts.
    """

    __test__ = False  # not a test of pytest
    estimand: str
    measure: Callable[[R], Figure | None]
    range: Range = ABOVE_ZERO


@dataclass(frozen=True)
class Claim(Generic[R]):
    """A statement and the tests that would show it.

    Attributes:
        text: The statement.
        source: The source of the claim.
        tests: The tests, all of which must hold.
        untrained: Models of which the claim states that they do not learn; all other models
            whose training failed are excluded.
    """

    text: str
    source: Source
    tests: tuple[Test[R], ...]
    untrained: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Outcome:
    """The result of a test.

    Attributes:
        estimand: The estimand.
        range: The range that the claim predicts.
        estimate: The estimate; None if something was not measured.
    """

    estimand: str
    range: Range
    estimate: Estimate | None

    @property
    def verdict(self) -> Verdict:
        """Whether the estimand lies in the range, by its 95 % interval."""
        if self.estimate is None or self.estimate.count < FEWEST:
            return "not judged"
        alone = (1.0 - CONFIDENCE / 100.0) / 2.0
        if self.chance_outside < alone:
            return "holds"
        return "refuted" if self.chance_inside < alone else "not shown"

    @property
    def chance_outside(self) -> float:
        """The one-sided p-value of "it lies outside the range": small where the test holds."""
        assert self.estimate is not None
        return max(
            0.0 if math.isinf(self.range.low) else self.estimate.chance_below(self.range.low),
            0.0 if math.isinf(self.range.high) else self.estimate.chance_above(self.range.high),
        )

    @property
    def chance_inside(self) -> float:
        """The one-sided p-value of "it lies in the range": small where the test is refuted."""
        assert self.estimate is not None
        return min(
            1.0 if math.isinf(self.range.low) else self.estimate.chance_above(self.range.low),
            1.0 if math.isinf(self.range.high) else self.estimate.chance_below(self.range.high),
        )

    def show(self) -> str:
        """Format estimand, range, figure and verdict."""
        figure = "not measured" if self.estimate is None else self.estimate.show()
        return f"{self.estimand}, claimed {self.range.show()}: {figure} ({self.verdict})"


@dataclass(frozen=True)
class Judged:
    """A claim and its verdict.

    Attributes:
        claim: The claim.
        found: The result of each test.
        verdict: The uncorrected verdict.
        corrected: The verdict corrected for all claims of the page.
        why: What is missing, if the claim could not be judged.
    """

    claim: Claim
    found: tuple[Outcome, ...]
    verdict: Verdict
    corrected: Verdict
    why: str = ""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The draws that the verdict is based on."""
        seeds = [set(one.estimate.seeds) for one in self.found if one.estimate is not None]
        return tuple(sorted(set.intersection(*seeds))) if len(seeds) == len(self.found) else ()

    def show(self) -> str:
        """Format the verdict, with the corrected one if they differ."""
        if self.verdict == "not judged":
            return f"not judged: {self.why}"
        if self.corrected == self.verdict:
            return self.verdict
        return f"{self.verdict} by itself, {self.corrected} among all claims here"


def judge(claims: Iterable[Claim], reading: Measurements) -> tuple[Judged, ...]:
    """Judge the claims of a page.

    Args:
        claims: All claims of the page, whose number determines the correction.
        reading: The measurements.
    """
    judged = [_alone(claim, reading) for claim in claims]
    decided = [one for one in judged if one.verdict != "not judged"]
    kept = holm([_chance(one.found) for one in decided])
    sure = {id(one) for one, keep in zip(decided, kept, strict=True) if keep}
    return tuple(replace(one, corrected=one.verdict) if id(one) in sure else one for one in judged)


def holm(chances: Sequence[float], level: float = 1.0 - CONFIDENCE / 100.0) -> list[bool]:
    """Return which of several tests are significant after correction (Holm).

    >>> holm([0.01, 0.04, 0.03]), holm([0.2, 0.001])
    ([True, False, False], [False, True])
    """
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    significant = [False] * len(chances)
    for rank, place in enumerate(order):
        if chances[place] > level / (len(chances) - rank):
            break
        significant[place] = True
    return significant


def _alone(claim: Claim, reading: Measurements) -> Judged:
    shown = reading.trained_only(claim.untrained)
    figures = [test.measure(shown) for test in claim.tests]
    found = tuple(
        Outcome(test.estimand, test.range, None if figure is None else figure.estimate())
        for test, figure in zip(claim.tests, figures, strict=True)
    )
    verdict = _verdict(found)
    if verdict == "not judged":
        return Judged(claim, found, verdict, verdict, _why(claim, reading, found))
    return Judged(claim, found, verdict, "not shown")


def _verdict(found: Sequence[Outcome]) -> Verdict:
    verdicts = [one.verdict for one in found]
    if "not judged" in verdicts:
        return "not judged"
    if "refuted" in verdicts:
        return "refuted"
    return "holds" if set(verdicts) == {"holds"} else "not shown"


def _why(claim: Claim, reading: Measurements, found: Sequence[Outcome]) -> str:
    """Describe what is missing for a verdict: draws, or models that trained."""
    fewest = min(0 if one.estimate is None else one.estimate.count for one in found)
    everyone = reading.trained_only(frozenset({"*"}))
    measured = [test.measure(everyone) for test in claim.tests]
    there = min(0 if figure is None else len(figure.values) for figure in measured)
    if there == 0:
        return "not measured"
    if there < FEWEST:
        return f"{there} of at least {FEWEST} draws"
    return f"models trained in {fewest} of at least {FEWEST} draws"


def _chance(found: Sequence[Outcome]) -> float:
    """Return the two-sided p-value of a claim's verdict, in either direction.

    That all tests hold has the p-value of the weakest of them; that one is refuted is corrected for
    the selection among all of them.
    """
    holds = max(one.chance_outside for one in found)
    refuted = len(found) * min(one.chance_inside for one in found)
    return min(1.0, 2.0 * min(holds, refuted))
