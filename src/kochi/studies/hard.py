"""Is it better to attend to one position, and how is that learned?

Soft attention reads an average, hard attention one position. Xu et al. 2015, section 4.1
(https://arxiv.org/abs/1502.03044) learn it by the Monte-Carlo gradient, with soft attention in half
of the examples to lower the variance; here it is tried without that, too, and begun with the soft
model's weights. Deng et al. 2018 (https://arxiv.org/abs/1807.03756) sum over the choice exactly and
find that better than soft attention, and the gain gone where hard attention is trained in the usual
way; they lay that on what is trained, a bound, more than on sampling. Straight-through (Bengio et
al. 2013, https://arxiv.org/abs/1308.3432) and Gumbel-softmax (Jang et al. 2017,
https://arxiv.org/abs/1611.01144) take biased gradients that should vary less. Expected: the exact
sum is better than soft attention; the Monte-Carlo gradient varies most and learns worst. Gradients
are compared at the same weights, those of the soft model.

With --data the source may also be pictures, read by the encoder of the run file; where they have
boxes, pointing accuracy takes the place of the alignment error rate.
"""

import math
from typing import Any

from typing_extensions import override

from kochi import config
from kochi.errors import UserError
from kochi.studies import models
from kochi.studies.cells import Cell
from kochi.studies.claims import Claim, Range, Source, Test
from kochi.studies.estimates import Figure, combine
from kochi.studies.noise import GradientNoise
from kochi.studies.reading import Reading, advantage, estimate, minus
from kochi.studies.report import Chart, Series, Table
from kochi.studies.study import Study
from kochi.studies.task import Draws
from kochi.studies.trained import tuned

SOFT, SAMPLED, EXACT = "soft", "Monte-Carlo", "exact marginal"
MIXED = "Monte-Carlo, half soft, twice the steps"
LATER = "Monte-Carlo, half soft, after soft"
GUMBEL, STRAIGHT = "Gumbel", "straight-through"
HALF_SOFT = {"kind": "hard", "expected_share": 0.5}
SELECTIONS: dict[str, Any] = {
    SOFT: "soft",
    EXACT: "marginal",
    SAMPLED: "hard",
    MIXED: HALF_SOFT,
    LATER: HALF_SOFT,
    GUMBEL: "gumbel",
    STRAIGHT: "straight_through",
}
NOISY = (SAMPLED, GUMBEL, STRAIGHT)
NOISE = "gradient of {}"
MARGIN = 1.0  # what counts as no worse, in points of the metric
DENG = "https://arxiv.org/abs/1807.03756"


class Hard(Study):
    """Soft attention against hard attention, trained with several gradients."""

    name = "hard"
    reads = ("text", "image")
    training_minutes = 5.0

    @override
    def check(self, draws: Draws) -> None:
        super().check(draws)
        model = draws.any.run.model
        if draws.reads == "image" and not isinstance(model, config.RnnModel):
            raise UserError(
                f"{draws.name}: the model is of kind {model.kind!r}; {self.name} takes the encoder "
                "of one of kind 'rnn'"
            )

    @override
    def cells(self, draws: Draws, seed: int) -> dict[str, Cell]:
        tables = {name: _model(draws, selection) for name, selection in SELECTIONS.items()}
        cells: dict[str, Cell] = {
            name: tuned(draws, tables[name], seed)
            for name in SELECTIONS
            if name not in (MIXED, LATER)
        }
        soft = tuned(draws, tables[SOFT], seed)
        cells[MIXED] = tuned(draws, tables[MIXED], seed, longer=2)
        cells[LATER] = tuned(draws, tables[LATER], seed, start=soft)
        for name in NOISY:
            cells[NOISE.format(name)] = GradientNoise(soft, tables[name])
        return cells

    @override
    def claims(self, draws: Draws) -> tuple[Claim[Reading], ...]:
        quality = draws.quality

        claims: list[Claim[Reading]] = [
            Claim(
                "Summed exactly, hard attention is better than soft attention.",
                Source(
                    "Deng et al. 2018",
                    "abstract, table 1",
                    "“exact latent variable models outperform standard neural attention”: 33.29 "
                    "against 32.77 BLEU, perplexity 6.34 against 7.17.",
                    "equal steps; a step of the exact sum takes longer (see “in equal time”).",
                    DENG,
                ),
                (
                    advantage(EXACT, SOFT, quality),
                    Test(
                        f"nats per token, {SOFT} minus {EXACT}",
                        lambda reading: minus(reading.nats(SOFT), reading.nats(EXACT)),
                    ),
                ),
            ),
            Claim(
                "From scratch and in as many steps, the Monte-Carlo gradient ends worse than the "
                "exact sum.",
                Source(
                    "Deng et al. 2018",
                    "abstract, table 1",
                    "“these gains go away when using hard attention based training”: sampled "
                    "31.00, the same bound enumerated 31.40, exact 33.29 BLEU.",
                    "models trained for minutes: what is large here is that sampling has not taken "
                    "off yet. What is trained differs, too: a bound against the likelihood.",
                    DENG,
                ),
                (advantage(EXACT, SAMPLED, quality),),
                frozenset({SAMPLED}),
            ),
            Claim(
                "Half of the steps spent on soft attention first, the Monte-Carlo gradient ends "
                "better than with all steps from scratch.",
                Source("ours", differs="so hard attention is trained in our recipes."),
                (advantage(LATER, MIXED, quality),),
                frozenset({MIXED}),
            ),
            Claim(
                f"Going on from a soft model with the Monte-Carlo gradient loses less than "
                f"{MARGIN:g} points of what the soft model could.",
                Source("ours", differs="it has had twice the soft model's steps by then."),
                (advantage(LATER, SOFT, quality, Range(-MARGIN)),),
            ),
            _varies(GUMBEL),
            _varies(STRAIGHT),
        ]
        boxes = getattr(draws.any.run.data, "boxes_column", None)
        if draws.any.gold is not None or boxes is not None:
            claims += [self._points(draws, name) for name in (EXACT, GUMBEL, STRAIGHT, LATER)]
        return tuple(claims)

    def _points(self, draws: Draws, name: str) -> Claim[Reading]:
        pictures = draws.reads == "image"

        def better(reading: Reading) -> Figure | None:
            if pictures:
                return minus(reading.pointing(name), reading.pointing(SOFT))
            return minus(reading.alignment_error(SOFT), reading.alignment_error(name))

        what = "pointing accuracy" if pictures else "alignment error rate"
        order = f"{name} minus {SOFT}" if pictures else f"{SOFT} minus {name}"
        return Claim(
            f"Hard attention aligns better than soft attention: {name}.",
            Source("ours", differs="a hope; no paper cited here says so."),
            (Test(f"{what}, {order}, points", better),),
        )

    @override
    def table(self, reading: Reading) -> Table:
        quality, pictures = reading.draws.quality, reading.draws.reads == "image"
        looks = reading.pointing if pictures else reading.alignment_error
        rows = tuple(
            (
                name,
                estimate(reading.quality(name)),
                estimate(reading.nats(name)),
                estimate(looks(name)),
                estimate(reading.in_equal_time(name, list(SELECTIONS))),
                estimate(reading.number(NOISE.format(name), "variance")),
            )
            for name in SELECTIONS
        )
        columns = (
            "selection",
            quality,
            "nats per token",
            "pointing accuracy, %" if pictures else "alignment error rate, %",
            f"dev {quality} in equal time",
            "variance of the gradient over its squared mean",
        )
        series = (Series(quality, tuple(estimate(reading.quality(name)) for name in SELECTIONS)),)
        chart = Chart("bars", "selection", quality, tuple(SELECTIONS), series)
        notes = (
            "Nats of the exact marginal and of soft attention are those of what is written; of the "
            "others those with the likeliest position, which is another quantity.",
            "In equal time: dev quality of each when the quickest was done; what was begun with a "
            "soft model has had its time, too, before.",
        )
        return Table(columns, rows, chart, notes)


def _model(draws: Draws, selection: Any) -> models.Model:
    """Return a model with an exact marginal: its state does not depend on where it attended."""
    parts = {"score": "general", "selection": selection}
    model = models.luong(draws.any.size, input_feeding=False, **parts)
    run = draws.any.run
    if draws.reads == "image":
        assert isinstance(run.model, config.RnnModel)
        del model["bidirectional"]  # an option of encoders of text
        if run.model.encoder is not None:
            model |= {"encoder": run.model.encoder.table}
    return model


def _varies(other: str) -> Claim[Reading]:
    return Claim(
        f"At the same weights the Monte-Carlo gradient varies more than that of {other}.",
        Source(
            "Jang et al. 2017",
            "section 3.2",
            "the score function estimator “suffers from high variance”; no variances are "
            "measured. Of straight-through it says “higher variance”, too.",
            "attention of one step, at the weights of the soft model; the baseline is of "
            "other pairs. Each varies about its own mean.",
            "https://arxiv.org/abs/1611.01144",
        ),
        (
            Test(
                f"log2 of the relative variance, Monte-Carlo over {other}",
                lambda reading: _log_ratio(reading, SAMPLED, other),
            ),
        ),
    )


def _log_ratio(reading: Reading, one: str, other: str) -> Figure | None:
    """Return the base-2 logarithm of the ratio of the relative variances of two gradients."""
    high, low = (reading.number(NOISE.format(name), "variance") for name in (one, other))
    if high is None or low is None:
        return None
    return combine(lambda a, b: math.log2(max(a, 1e-12) / max(b, 1e-12)), high, low)
