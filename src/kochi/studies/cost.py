"""What does attention cost, and what does each mechanism?

The decoder with a fixed vector reads it at each step, where that of Bahdanau reads what it attended
to; else they are the same. Both are asked for training steps on random sentences of several
lengths, with vocabularies as large as those of the data; the mechanisms stand in Luong's order
without input feeding, which attends for all words at once. Nothing is learned here, so models are
four times as wide as those of the studies that train: in narrower ones the fixed cost of each
operation says more than its length. Expected: every target word is compared with every source
word, so what attention adds grows with the product of the lengths and the rest with their sum; for
sentences of 15 to 40 words this is not severe (Bahdanau et al. 2015, section 6.1,
https://arxiv.org/abs/1409.0473).
"""

from collections.abc import Callable
from typing import Any

from typing_extensions import override

from kochi.studies import models
from kochi.studies.cells import Cell
from kochi.studies.claims import Claim, Source, Test
from kochi.studies.estimates import Figure, combine
from kochi.studies.reading import TIMED, Reading, estimate, minus
from kochi.studies.report import Chart, Series, Table, Value
from kochi.studies.study import Study
from kochi.studies.task import Draws
from kochi.studies.timed import Step, TimedRound

LENGTHS = (8, 16, 32, 64, 128)
BATCH, USUAL, WIDER = 16, 32, 4
PLAIN, ATTENTION = "fixed vector", "Bahdanau's attention"
MECHANISMS: dict[str, dict[str, Any]] = {
    "dot": {"score": "dot"},
    "general": {"score": "general"},
    "additive": {"score": "additive"},
    "location": {"score": "location"},
    "location-aware": {"score": "location_aware"},
    "general, local-m": {"score": "general", "scope": "local_m"},
    "general, local-p": {"score": "general", "scope": "local_p"},
    "general, coverage": {"score": "general", "scope": "coverage"},
    "general, sparsemax": {"score": "general", "selection": "sparsemax"},
    "general, entmax-1.5": {"score": "general", "selection": "entmax15"},
    "general, Monte-Carlo": {"score": "general", "selection": "hard"},
    "general, exact marginal": {"score": "general", "selection": "marginal"},
    "general, monotonic": {"score": "general", "selection": "monotonic"},
}
BAHDANAU = "https://arxiv.org/abs/1409.0473"


class Cost(Study):
    """Parameters, memory and time of a step, by length and by mechanism."""

    name = "cost"
    timing_minutes = 0.6

    @override
    def cells(self, draws: Draws, seed: int) -> dict[str, Cell]:
        size, words = WIDER * draws.any.size, draws.any.vocabularies
        plain = models.one_way(models.plain(size))
        additive = models.one_way(models.bahdanau(size))
        steps: dict[str, Step] = {}
        for length in LENGTHS:
            steps[f"{PLAIN}, {length}"] = Step(plain, length, BATCH, words)
            steps[f"{ATTENTION}, {length}"] = Step(additive, length, BATCH, words)
        for name, parts in MECHANISMS.items():
            model = models.luong(size, input_feeding=False, **parts)
            steps[name] = Step(model, USUAL, BATCH, words)
        return {TIMED: TimedRound(tuple(steps.items()), seed)}

    @override
    def claims(self, draws: Draws) -> tuple[Claim[Reading], ...]:
        def added(reading: Reading, length: int) -> Figure | None:
            return _surcharge(reading, f"{ATTENTION}, {length}", length)

        def spare(label: str) -> Test[Reading]:
            return Test(
                f"margin left below twice the step time of the fixed vector at {USUAL} words, %",
                lambda reading: _surcharge(reading, label, USUAL, lambda more: 100.0 - more),
            )

        short, long = LENGTHS[1], LENGTHS[-1]
        return (
            Claim(
                "What attention adds grows faster with the length than all the rest.",
                Source(
                    "Bahdanau et al. 2015",
                    "section 6.1",
                    "attention “requires computing the annotation weight of every word in the "
                    "source sentence for each word”. Appendix table 2, by our arithmetic: an "
                    "update takes 1.86 times as long as without at up to 30 words, 2.14 times at "
                    "up to 50.",
                    "the added part also holds the loop over words that attention forces on the "
                    "decoder here, which hardly grows faster and so works against the claim. In "
                    "the paper's models a second encoder belongs to what is added.",
                    BAHDANAU,
                ),
                (
                    Test(
                        f"step time added by attention, % of the rest, at {long} words minus at "
                        f"{short} words",
                        lambda reading: minus(added(reading, long), added(reading, short)),
                    ),
                ),
            ),
            Claim(
                "For sentences of usual length the cost of Bahdanau's attention is not severe: a "
                "step takes less than twice as long.",
                Source(
                    "Bahdanau et al. 2015",
                    "section 6.1",
                    "“not severe” for sentences that “are only 15–40 words”; no bound is given.",
                    "the bound is ours. By appendix table 2 the paper's own models keep it at up "
                    "to 30 words and break it at up to 50. The larger the vocabulary, the more is "
                    "spent on the output and the less is attention's share.",
                    BAHDANAU,
                ),
                (spare(f"{ATTENTION}, {USUAL}"),),
            ),
            Claim(
                "Where attention may attend for all words at once, a step takes less than twice "
                "as long.",
                Source("ours", differs="Luong's order without input feeding, additive score."),
                (spare("additive"),),
            ),
        )

    @override
    def table(self, reading: Reading) -> Table:
        labels = [f"{kind}, {length}" for length in LENGTHS for kind in (PLAIN, ATTENTION)]
        rows = [_row(reading, label, int(label.rpartition(" ")[2])) for label in labels]
        rows += [_row(reading, name, USUAL) for name in MECHANISMS]
        columns = (
            "model, words",
            "parameters",
            "MB kept by a step",
            "milliseconds per step",
            "more than with the fixed vector, %",
        )
        series = tuple(
            Series(
                kind,
                tuple(estimate(reading.time(f"{kind}, {length}")) for length in LENGTHS),
            )
            for kind in (PLAIN, ATTENTION)
        )
        places = tuple(map(float, LENGTHS))
        source, target = reading.draws.any.vocabularies
        chart = Chart("lines", "words", "milliseconds per step", places, series, logarithmic=True)
        notes = (
            f"Mechanisms are measured at {USUAL} words; {BATCH} sentences a step, one thread; a "
            "draw is a round in a process of its own.",
            f"The vocabularies of the data have {source:,} and {target:,} tokens.",
            "Memory is that of the kernels chosen: some compute again what they do not keep.",
        )
        return Table(columns, tuple(rows), chart, notes)


def _row(reading: Reading, label: str, length: int) -> tuple[Value, ...]:
    parameters = estimate(reading.time(label, "parameters"))
    kept = estimate(reading.time(label, "kept_bytes"))
    return (
        label,
        None if parameters is None else int(parameters.value),
        None if kept is None else kept.value / 1e6,
        estimate(reading.time(label)),
        estimate(_surcharge(reading, label, length)),
    )


def _surcharge(
    reading: Reading,
    label: str,
    length: int,
    function: Callable[[float], float] = lambda more: more,
) -> Figure | None:
    """The percentage by which a step takes longer than with a fixed vector, or a function of it."""
    one, plain = reading.time(label), reading.time(f"{PLAIN}, {length}")
    if one is None or plain is None:
        return None
    return combine(lambda more, less: function(100.0 * (more / less - 1.0)), one, plain)
