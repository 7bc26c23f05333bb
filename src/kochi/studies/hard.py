"""Is it better to look at one place, and how is that learned?

Soft attention reads an average, hard attention one place. Xu et al. 2015, section 4.1
(https://arxiv.org/abs/1502.03044) learn it by the Monte-Carlo gradient, with soft attention in half
of the examples to lower the variance; here it is tried without that, too, and begun with the soft
model's weights (and so trained twice as long as the others). Deng et al. 2018
(https://arxiv.org/abs/1807.03756) sum over the choice exactly and find that better than soft
attention, and the gain gone where the gradient is sampled; straight-through (Bengio et al.
2013, https://arxiv.org/abs/1308.3432) and Gumbel-softmax (Jang et al. 2017,
https://arxiv.org/abs/1611.01144) take biased gradients that vary less. Expected: the exact sum is
better than soft attention; the Monte-Carlo gradient varies most and learns worst. Gradients are
compared at the same weights, those of the soft model.

With --data the source may also be pictures, read by the encoder of the run file; where they have
boxes, pointing accuracy takes the place of the alignment error rate.
"""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from kochi import config
from kochi.errors import UserError
from kochi.studies import models
from kochi.studies.cells import Cell
from kochi.studies.estimates import Estimate, Measured, apart
from kochi.studies.noise import GradientNoise
from kochi.studies.reading import Reading, estimate, minus, numbers
from kochi.studies.report import Chart, Check, Claim, Report, Series
from kochi.studies.study import Found, Study
from kochi.studies.task import Task
from kochi.studies.trained import Trained

MIXED = "Monte-Carlo, half soft"
LATER = "Monte-Carlo, after soft"
SELECTIONS = {
    "soft": "soft",
    "Monte-Carlo": "hard",
    MIXED: {"kind": "hard", "expected_share": 0.5},
    LATER: {"kind": "hard", "expected_share": 0.5},
    "exact marginal": "marginal",
    "Gumbel": "gumbel",
    "straight-through": "straight_through",
}
NOISY = [name for name in SELECTIONS if name != LATER]  # its gradient is that of MIXED
NOISE = "gradient of {}"
DENG = "Deng et al. 2018, abstract"


class Hard(Study):
    """Soft attention against hard attention, learned in several ways."""

    name = "hard"
    reads = ("text", "pictures")
    training_minutes = 2.5

    @override
    def check(self, task: Task) -> None:
        super().check(task)
        if task.reads == "pictures" and not isinstance(task.run.model, config.RnnModel):
            raise UserError(
                f"{task.name}: the model is of kind {task.run.model.kind!r}; {self.name} takes "
                "the encoder of one of kind 'rnn'"
            )

    @override
    def cells(self, task: Task, seed: int) -> dict[str, Cell]:
        tables = {name: _model(task, selection) for name, selection in SELECTIONS.items()}
        cells: dict[str, Cell] = {
            name: Trained(task, table, seed) for name, table in tables.items()
        }
        soft = Trained(task, tables["soft"], seed)
        cells[LATER] = Trained(task, tables[LATER], seed, start=soft)
        for name in NOISY:
            cells[NOISE.format(name)] = GradientNoise(soft, tables[name])
        return cells

    @override
    def report(self, task: Task, found: Found) -> Report:
        reading, pictures = Reading(task), task.reads == "pictures"
        measure_looks = reading.pointing if pictures else reading.alignment_error
        quality = {name: reading.quality(found[name]) for name in SELECTIONS}
        nats = {name: reading.nats(found[name]) for name in SELECTIONS}
        looks = {name: measure_looks(found[name]) for name in SELECTIONS}
        noise = {name: numbers(found[NOISE.format(name)], "variance") for name in NOISY}
        noise[LATER] = noise[MIXED]
        by_rows: tuple[ByRows, ...] = quality, nats, looks
        estimated = [{name: estimate(of[name]) for name in SELECTIONS} for of in by_rows]
        rows = tuple((name, *(of[name] for of in estimated), noise[name]) for name in SELECTIONS)
        columns = (
            "selection",
            reading.name,
            "nats a token",
            "pointing accuracy, %" if pictures else "alignment error rate, %",
            "variance of the gradient over its squared mean",
        )
        series = (Series(reading.name, tuple(estimated[0].values())),)
        chart = Chart("bars", "selection", reading.name, tuple(SELECTIONS), series)
        claims = [*_against_soft(reading, quality, nats), _noisier(noise)]
        if any(looks.values()):
            claims.append(_points_better(looks, pictures))
        return Report(columns, rows, chart, tuple(claims))


ByRows = Mapping[str, Measured | None]


def _model(task: Task, selection: Any) -> models.Model:
    """Return a model whose exact marginal can be had: its state does not know where it looked."""
    parts = {"score": "general", "selection": selection}
    model = models.luong(task.size, input_feeding=False, **parts)
    if task.reads == "pictures":
        assert isinstance(task.run.model, config.RnnModel)
        del model["bidirectional"]  # of an encoder of text
        if task.run.model.encoder is not None:
            model |= {"encoder": task.run.model.encoder.model_dump(mode="json")}
    return model


def _against_soft(reading: Reading, quality: ByRows, nats: ByRows) -> list[Claim]:
    def ahead(first: str, second: str) -> tuple[Check, Check]:
        better = reading.better(quality[first], quality[second])
        likelier = minus(nats[second], nats[first])
        return (
            Check(f"{first} better than {second}, {reading.name}", better),
            Check(f"{second} less {first}, nats a token", likelier),
        )

    return [
        Claim(
            "Summed exactly, hard attention is better than soft attention.",
            DENG,
            ahead("exact marginal", "soft"),
        ),
        Claim(
            "The Monte-Carlo gradient learns worse than the exact sum.",
            DENG,
            ahead("exact marginal", "Monte-Carlo"),
        ),
        Claim(
            "Begun with a soft model's weights, the Monte-Carlo gradient learns better.",
            "no paper: so hard attention is trained in our recipes",
            ahead(LATER, MIXED),
        ),
    ]


def _noisier(noise: Mapping[str, Estimate | None]) -> Claim:
    checks = (
        Check(
            f"Monte-Carlo less {name}, relative variance", apart(noise["Monte-Carlo"], noise[name])
        )
        for name in ("Gumbel", "straight-through", "exact marginal")
    )
    said = "The Monte-Carlo gradient varies more than the others."
    return Claim(said, "Jang et al. 2017", tuple(checks))


def _points_better(looks: ByRows, pictures: bool) -> Claim:
    def better(name: str) -> Check:
        if pictures:
            said = f"pointing: {name} less soft, points"
            return Check(said, minus(looks[name], looks["soft"]))
        return Check(f"AER: soft less {name}, points", minus(looks["soft"], looks[name]))

    said = "Hard attention points better than soft attention."
    checks = (better("exact marginal"), better("Monte-Carlo"))
    return Claim(said, "no paper: a hope that is put to the test here", checks)
