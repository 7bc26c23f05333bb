"""Claims as objects, set before anything is measured, and the one rule by which they are judged.

A claim rests on tests. Each says what is estimated and the range in which the claim says that it
lies: above 0 where something is better, above a negative margin where it is no worse, between two
margins where it is "about" the same. A test holds where the whole 95 % interval lies in the range,
and is refuted where the whole interval lies outside it. A claim holds if all its tests do, is
refuted if one of them is, and else is not shown.

A page has many claims, so each verdict is given twice: by itself, and corrected for the family of
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
    """Where a claim comes from.

    Attributes:
        paper: Authors and year; "ours" where no paper says it.
        place: Section, table or figure.
        says: What stands there, with its figures.
        differs: What is different here.
        link: Address of the paper.
    """

    paper: str
    place: str = ""
    says: str = ""
    differs: str = ""
    link: str = ""

    def show(self) -> str:
        """Write paper and place."""
        return f"{self.paper}, {self.place}" if self.place else self.paper


@dataclass(frozen=True)
class Range:
    """Where a claim says that something lies; the ends do not belong to it."""

    low: float = -math.inf
    high: float = math.inf

    def show(self) -> str:
        """Write it in words.

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
    """A reading that can leave out the models that did not train."""

    def trained_only(self, exempt: frozenset[str]) -> "Measurements":
        """Return the same without models that did not train, except some."""
        ...


@dataclass(frozen=True)
class Test(Generic[R]):
    """One thing that is estimated for a claim.

    Attributes:
        estimand: In words, with what it is measured in.
        measure: Reads it off what was measured; None where something is missing.
        range: Where the claim says that it lies.
    """

    __test__ = False  # for pytest
    estimand: str
    measure: Callable[[R], Figure | None]
    range: Range = ABOVE_ZERO


@dataclass(frozen=True)
class Claim(Generic[R]):
    """A sentence and what would show it.

    Attributes:
        text: The sentence.
        source: Where it comes from.
        tests: All must hold.
        untrained: Models whose not learning is what the claim speaks of; of all others a training
            that failed takes no part.
    """

    text: str
    source: Source
    tests: tuple[Test[R], ...]
    untrained: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Outcome:
    """What was found of one test.

    Attributes:
        estimand: What was estimated.
        range: Where the claim says that it lies.
        estimate: What was found; None where something was not measured.
    """

    estimand: str
    range: Range
    estimate: Estimate | None

    @property
    def verdict(self) -> Verdict:
        """Whether it lies in the range, by its 95 % interval."""
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
        """Write estimand, range, figure and verdict."""
        figure = "not measured" if self.estimate is None else self.estimate.show()
        return f"{self.estimand}, claimed {self.range.show()}: {figure} ({self.verdict})"


@dataclass(frozen=True)
class Judged:
    """A claim and what became of it.

    Attributes:
        claim: The claim.
        found: Of each test.
        verdict: By itself.
        corrected: When all claims of the page are taken together.
        why: Where it was not judged: what is missing.
    """

    claim: Claim
    found: tuple[Outcome, ...]
    verdict: Verdict
    corrected: Verdict
    why: str = ""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The draws that the verdict rests on."""
        seeds = [set(one.estimate.seeds) for one in self.found if one.estimate is not None]
        return tuple(sorted(set.intersection(*seeds))) if len(seeds) == len(self.found) else ()

    def show(self) -> str:
        """Write the verdict; also the corrected one where it is another."""
        if self.verdict == "not judged":
            return f"not judged: {self.why}"
        if self.corrected == self.verdict:
            return self.verdict
        return f"{self.verdict} by itself, {self.corrected} among all claims here"


def judge(claims: Iterable[Claim], reading: Measurements) -> tuple[Judged, ...]:
    """Judge the claims of a page.

    Args:
        claims: All of the page: verdicts are corrected for how many there are.
        reading: What was measured.
    """
    judged = [_alone(claim, reading) for claim in claims]
    decided = [one for one in judged if one.verdict != "not judged"]
    kept = holm([_chance(one.found) for one in decided])
    sure = {id(one) for one, keep in zip(decided, kept, strict=True) if keep}
    return tuple(replace(one, corrected=one.verdict) if id(one) in sure else one for one in judged)


def holm(chances: Sequence[float], level: float = 1.0 - CONFIDENCE / 100.0) -> list[bool]:
    """Say which of several tests are significant when all are taken together.

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
    """Say what is missing for a verdict: draws, or models that trained."""
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
    """Return the two-sided p-value of a claim's verdict, whichever way it goes.

    That all tests hold is as doubtful as the most doubtful one; that one is refuted was looked for
    among all of them.
    """
    holds = max(one.chance_outside for one in found)
    refuted = len(found) * min(one.chance_inside for one in found)
    return min(1.0, 2.0 * min(holds, refuted))
