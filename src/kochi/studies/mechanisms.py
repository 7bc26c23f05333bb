"""Which score and which scope serve best?

Luong et al. 2015, section 5.3 and table 4 (https://arxiv.org/abs/1508.04025), trained seven of
these cells, on English to German, and left the others empty (concat stands in a footnote there for
what is called additive here). Expected: local-p with the general score is best; local models align
better (table 6). The location score, which does not look at the source, should be worst; table 4
has it ahead of the general score in BLEU and behind in perplexity.
"""

from typing_extensions import override

from kochi.studies import models
from kochi.studies.cells import Cell
from kochi.studies.claims import Claim, Source, Test
from kochi.studies.reading import Reading, advantage, estimate, minus
from kochi.studies.report import Chart, Series, Table
from kochi.studies.study import Study
from kochi.studies.task import Draws
from kochi.studies.trained import tuned

SCORES = ("location", "dot", "general", "additive")
SCOPES = {"global": "global", "local-m": "local_m", "local-p": "local_p"}
LABELS = tuple(f"{score}, {scope}" for score in SCORES for scope in SCOPES)
BEST = "general, local-p"
LUONG = "https://arxiv.org/abs/1508.04025"
TABLE_4 = (
    "perplexity and BLEU: location/global 6.4, 18.1; dot/global 6.1, 18.6; general/global 6.1, "
    "17.3; dot/local-m above 7, none; general/local-m 6.2, 18.6; dot/local-p 6.6, 18.0; "
    "general/local-p 5.9, 19.0."
)


class Mechanisms(Study):
    """Every score with every scope, in Luong's order with input feeding."""

    name = "mechanisms"
    training_minutes = 6.0

    @override
    def cells(self, draws: Draws, seed: int) -> dict[str, Cell]:
        size = draws.any.size
        return {
            f"{score}, {scope}": tuned(draws, models.luong(size, score=score, scope=kind), seed)
            for score in SCORES
            for scope, kind in SCOPES.items()
        }

    @override
    def claims(self, draws: Draws) -> tuple[Claim[Reading], ...]:
        quality = draws.quality

        def aligns(first: str, second: str) -> Test[Reading]:
            return Test(
                f"AER, ({second}) minus ({first}), points",
                lambda reading: minus(
                    reading.alignment_error(second), reading.alignment_error(first)
                ),
            )

        claims = [
            Claim(
                "Local-p with the general score is better than every other cell of the grid.",
                Source(
                    "Luong et al. 2015",
                    "section 5.3, table 4",
                    f"local-p “is best, both in terms of perplexities and BLEU”; {TABLE_4}",
                    "all twelve cells; models and data are small.",
                    LUONG,
                ),
                tuple(advantage(BEST, label, quality) for label in LABELS if label != BEST),
            ),
            Claim(
                "The location score, which does not look at the source, is worse than those that "
                "do (global attention).",
                Source(
                    "ours",
                    says=f"table 4 of Luong et al. 2015 agrees for dot alone; {TABLE_4} By its "
                    "footnote concat has a perplexity of 6.7, which is worse than location's.",
                ),
                tuple(
                    advantage(f"{score}, global", "location, global", quality)
                    for score in SCORES
                    if score != "location"
                ),
            ),
        ]
        if draws.any.gold is not None:
            claims += [
                Claim(
                    "Local attention aligns better than global attention with the same score "
                    "(general).",
                    Source(
                        "ours",
                        says="the paper's pair differs in score and scope at once: next claim.",
                    ),
                    tuple(
                        aligns(f"general, {scope}", "general, global")
                        for scope in ("local-m", "local-p")
                    ),
                ),
                Claim(
                    "Local attention with the general score aligns better than global attention "
                    "with the location score.",
                    Source(
                        "Luong et al. 2015",
                        "section 5.4, table 6",
                        "“the alignments produced by local attention models achieve lower AERs "
                        "than those of the global one”: local-m and local-p (general) against "
                        "global (location).",
                        "the location score cannot know which words there are, so most of what is "
                        "shown here is the score's, not the scope's.",
                        LUONG,
                    ),
                    tuple(
                        aligns(f"general, {scope}", "location, global")
                        for scope in ("local-m", "local-p")
                    ),
                ),
            ]
        return tuple(claims)

    @override
    def table(self, reading: Reading) -> Table:
        quality = reading.draws.quality
        rows = tuple(
            (
                label,
                estimate(reading.quality(label)),
                estimate(reading.nats(label)),
                estimate(reading.alignment_error(label)),
                estimate(reading.in_equal_time(label, list(LABELS))),
            )
            for label in LABELS
        )
        series = tuple(
            Series(scope, tuple(estimate(reading.quality(f"{one}, {scope}")) for one in SCORES))
            for scope in SCOPES
        )
        chart = Chart("bars", "score", quality, SCORES, series)
        columns = (
            "score, scope",
            quality,
            "nats per token",
            "alignment error rate, %",
            f"dev {quality} in equal time",
        )
        return Table(columns, rows, chart)
