"""The cell that most studies share: train a model, then take all measurements of it."""

import csv
import itertools
import json
import math
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from typing_extensions import override

from kochi import config
from kochi.data.pair import Pair
from kochi.errors import Diverged, Interrupted
from kochi.folder import write_atomic
from kochi.metrics import higher_is_better
from kochi.modalities.image.pointing import points_of
from kochi.modalities.pairs import read_pairs
from kochi.schema import packages_of
from kochi.studies.cells import Cell, Result, Store, digest
from kochi.studies.task import Draws, Task, fingerprint
from kochi.word_alignment import find_links, pharaoh

GRID = (0.5, 1.0, 2.0)  # multiples of the task's learning rate; each model uses its own best
TRAINED = 0.75  # maximum fraction of the nats of a bigram model of the targets, without sources
START, END = -1, -2


@dataclass(frozen=True)
class Trained(Cell):
    """Train a model and predict a test set; measure its alignments with forced decoding.

    The result contains, with a row per test pair: ``answers``; for models with attention ``places``
    (the number of weights that are not exactly 0, of weights, and of steps of heads), and ``nats``
    (negative log-likelihood of the target, and its number of tokens, including the end mark); for
    text ``source_lengths`` (tokens) and ``links`` (Pharaoh); for images ``points`` (words that have
    boxes, peaks in a box). Values that do not apply are None. For the training it contains
    ``parameters``, ``seconds`` (of a core), ``steps``, ``learning_rate``, ``curve`` (step, elapsed
    seconds, dev metric), ``dev``, ``nats_on_dev`` (per token: its own, and those of a bigram model
    of the targets, which reads no source) and ``trained``: whether its own are at most `TRAINED`
    times the others. For a training that diverged it contains only ``diverged`` (the message) and
    ``trained``.

    Args:
        task: Data and training.
        model: The model table.
        seed: Seed of weights, batches and draws.
        test: Another file of test pairs.
        max_length: Exclude longer pairs from training; None for the task's limit.
        start: Initialise the weights from this cell; None for random weights.
        factor: Multiple of the task's learning rate, if there are no pilots.
        longer: Multiple of the task's steps.
        pilots: The same model on the draw that decides nothing else, with several learning rates;
            the best one on its dev data is used.
    """

    task: Task
    model: dict[str, Any]
    seed: int
    test: Path | None = None
    max_length: int | None = None
    start: "Trained | None" = None
    factor: float = 1.0
    longer: int = 1
    pilots: "tuple[Trained, ...]" = ()

    @property
    @override
    def after(self) -> tuple[Cell, ...]:
        """The cell that it starts from, and those that tune its learning rate."""
        return (*self.pilots, *(() if self.start is None else (self.start,)))

    def run(self, factor: float | None = None) -> config.Run:
        """Return the run that is trained, without its folder.

        Args:
            factor: Multiple of the task's learning rate; None for the cell's own.
        """
        training = self.task.run.training
        rate = training.learning_rate * (self.factor if factor is None else factor)
        changes: dict[str, Any] = {"learning_rate": rate, "metric": self.task.metric}
        if training.max_steps is not None:
            changes["max_steps"] = self.longer * training.max_steps
        else:
            changes["epochs"] = self.longer * training.epochs
        run = self.task.with_model(self.model, self.seed, **changes)
        if self.max_length is None:
            return run
        data = run.data.model_copy(update={"max_length": self.max_length})
        return run.model_copy(update={"data": data})

    def key(self) -> dict[str, Any]:
        """Return everything that the model and the measurements depend on."""
        data, split = self.task.test_data(self.test)
        return {"training": self._training_key(), "test": fingerprint(data, split)}

    def _training_key(self, factor: float | None = None) -> dict[str, Any]:
        """Return what the training depends on; with the tuned factor instead of the pilots."""
        run = self.run(factor)
        tree = run.model_dump(mode="json", exclude_none=True)
        del tree["output"]
        for place in ("folder", "train", "dev", "test"):
            tree["data"].pop(place, None)
        files = {split: fingerprint(run.data, split) for split in ("train", "dev")}
        more: dict[str, Any] = {}
        if self.start is not None:
            more["start"] = self.start._training_key()
        if self.pilots and factor is None:
            more["pilots"] = [pilot._training_key() for pilot in self.pilots]
        return {"run": tree, "files": files, **more}

    @property
    @override
    def kin(self) -> str:
        """A name that is the same for other seeds."""
        test = None if self.test is None else self.test.name
        start = {} if self.start is None else {"start": self.start.kin}
        about = {"model": self.model, "test": test, "max_length": self.max_length}
        return digest({**about, "longer": self.longer, **start})

    def check(self) -> None:
        """Check that the model can be built."""
        from kochi.training.run import check_model

        check_model(self.run())

    def chosen_factor(self, folder: Path) -> float:
        """Return the factor of the learning rate: that of the best pilot on its dev data.

        Raises:
            Diverged: All pilots diverged.
        """
        if not self.pilots:
            return self.factor
        found = [(pilot.factor, Store(folder).find(pilot)) for pilot in self.pilots]
        sign = 1.0 if higher_is_better(self.task.metric) else -1.0
        scores = {factor: sign * one["dev"] for factor, one in found if one and "dev" in one}
        if not scores:
            raise Diverged("training diverged with every learning rate that was tried")
        return max(scores, key=lambda factor: (scores[factor], -factor))

    def train(self, folder: Path) -> Path:
        """Train, resume or load the model; return its folder.

        Raises:
            Diverged: The training diverged.
            Interrupted: The training was stopped and saved.
        """
        from kochi.training.progress import Progress
        from kochi.training.run import train

        factor = self.chosen_factor(folder)
        run, clock = self.run(factor), _Clock()
        output = folder / "models" / digest(self._training_key(factor))
        if self.start is not None:
            before = {"start_from": self.start.train(folder)}
            run = run.model_copy(update={"training": run.training.model_copy(update=before)})
        try:
            train(
                run.model_copy(update={"output": output}),
                resume=True,
                progress=Progress(silent=True),
            )
        except Interrupted:
            raise Interrupted("stopped; the same command goes on from here") from None
        _keep_course(output, clock.share)
        shutil.rmtree(output / "training", ignore_errors=True)
        return output

    def measure(self, folder: Path) -> Result:
        """Train (or resume, or load) and measure."""
        from kochi.inference.loading import load

        try:
            output = self.train(folder)
        except Diverged as error:
            return {"diverged": str(error), "trained": False}
        predictor = load(output, "cpu", trust=packages_of(self.run()))
        return {**self._of_training(predictor, output), **self._of_test(predictor)}

    def _of_training(self, predictor: Any, output: Path) -> Result:
        metrics = predictor.metrics
        course = json.loads(_course_file(output).read_bytes())
        seconds, steps = course["core"] * metrics["seconds"], metrics["steps"]
        nats = metrics["dev"]["loss_nats_per_token"]
        without = _target_only_nats(predictor, self.task)
        return {
            "parameters": metrics["parameters"],
            "seconds": seconds,
            "steps": steps,
            "learning_rate": predictor.run.training.learning_rate,
            "curve": [[step, seconds * step / steps, value] for step, value in course["dev"]],
            "dev": metrics["dev"]["value"],
            "nats_on_dev": [nats, without],
            "trained": nats is not None and nats <= TRAINED * without,
        }

    def _of_test(self, predictor: Any) -> Result:
        data, split = self.task.test_data(self.test)
        pairs = list(read_pairs(data, split))
        sources = [pair.source for pair in pairs]
        return {
            "answers": [" ".join(one.text.splitlines()) for one in predictor.predict(sources)],
            "source_lengths": self._lengths(predictor, sources),
            **self._looks(predictor, pairs),
        }

    def _lengths(self, predictor: Any, sources: list[Any]) -> list[int] | None:
        if self.task.reads != "text":
            return None
        return [len(row) for row in predictor.source.encode_batch(sources)]

    def _looks(self, predictor: Any, pairs: list[Pair]) -> Result:
        if self.model["kind"] == "plain":
            return {"links": None, "places": None, "nats": None, "points": None}
        sources, targets = zip(*((pair.source, pair.references[0]) for pair in pairs), strict=True)
        forced = predictor.align(sources, targets, need_heads=True)
        places, nats = [], []
        for prediction in forced:
            heads: torch.Tensor = prediction.heads
            count = heads.numel()
            places.append([int((heads != 0.0).sum()), count, count // max(1, heads.shape[-1])])
            nats.append([-prediction.n_best[0].log_probability, len(prediction.tokens) + 1])
        links = points = None
        if self.task.reads == "text":
            links = [
                pharaoh(find_links(predictor.merge_words(prediction.alignment, source, target)))
                for prediction, source, target in zip(forced, sources, targets, strict=True)
            ]
        elif self.task.reads == "image" and any(pair.boxes for pair in pairs):
            rows = points_of(predictor, pairs, forced)
            points = [[len(row), sum(hit for hit, _ in row)] for row in rows]
        return {"links": links, "places": places, "nats": nats, "points": points}


@dataclass(frozen=True)
class Pilot(Trained):
    """Train only, to measure the dev metric at a learning rate."""

    @property
    @override
    def purpose(self) -> str:
        """The learning rate that it tries."""
        return f"learning rate {self.run().training.learning_rate:g}"

    @override
    def key(self) -> dict[str, Any]:
        return {"training": self._training_key()}

    @override
    def measure(self, folder: Path) -> Result:
        from kochi.inference.loading import load

        try:
            trust = packages_of(self.run())
            metrics = load(self.train(folder), "cpu", trust=trust).metrics
        except Diverged as error:
            return {"diverged": str(error)}
        return {"dev": metrics["dev"]["value"], "seconds": metrics["seconds"]}


def tuned(
    draws: Draws,
    model: dict[str, Any],
    seed: int,
    start: Trained | None = None,
    longer: int = 1,
    kind: type[Trained] = Trained,
    **more: Any,
) -> Trained:
    """Return the cell of a model whose learning rate is tuned on the pilot draw.

    Args:
        draws: The tasks.
        model: The model table.
        seed: The draw.
        start: The cell that it starts from; on the pilot draw, the corresponding cell there.
        longer: Multiple of the task's steps.
        kind: The type of the cell.
        more: Other arguments of the cell.
    """
    begun = None if start is None else tuned(draws, start.model, draws.pilot, longer=start.longer)
    kept = {name: value for name, value in more.items() if name == "max_length"}
    pilots = tuple(
        Pilot(
            draws.task(draws.pilot),
            model,
            draws.pilot,
            start=begun,
            factor=factor,
            longer=longer,
            **kept,
        )
        for factor in GRID
    )
    return kind(draws.task(seed), model, seed, start=start, longer=longer, pilots=pilots, **more)


class _Clock:
    """The fraction of the elapsed time that this process spent computing."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), time.process_time()

    @property
    def share(self) -> float:
        """Return core seconds per elapsed second; other programs do not count."""
        passed = time.perf_counter() - self._start[0]
        return (time.process_time() - self._start[1]) / max(passed, 1e-9)


def _course_file(output: Path) -> Path:
    return output.with_suffix(".course.json")


def _keep_course(output: Path, core: float) -> None:
    """Keep the dev metric of each evaluation; delete the other files of the training."""
    file = output / "training" / "evaluations.csv"
    if not file.exists():
        return
    with file.open(newline="", encoding="utf-8") as rows:
        dev = [[int(row["step"]), float(row["metric"])] for row in csv.DictReader(rows)]
    write_atomic(_course_file(output), json.dumps({"core": core, "dev": dev}).encode())


def _target_only_nats(predictor: Any, task: Task) -> float:
    """Return the nats per token of a model of the targets alone on the dev targets."""
    train, dev = (
        predictor.target.encode_batch([p.references[0] for p in read_pairs(task.run.data, split)])
        for split in ("train", "dev")
    )
    return bigram_nats(train, dev, predictor.target.size)


def bigram_nats(train: Iterable[Sequence[int]], dev: Iterable[Sequence[int]], size: int) -> float:
    """Return the mean negative log-likelihood of tokens under a bigram model, ends included.

    It is interpolated with single tokens (Witten and Bell 1991, method C), and these with a uniform
    distribution by adding one.

    Args:
        train: Rows of tokens to estimate it from.
        dev: Rows of tokens to measure it on.
        size: Vocabulary size.

    >>> round(bigram_nats([[5]], [[5]], 10), 3)  # both steps: (1 + 1 * 2 / 13) / 2
    0.55
    """
    rows = [[START, *map(int, row), END] for row in train]
    pairs = Counter(pair for row in rows for pair in itertools.pairwise(row))
    before = Counter(first for row in rows for first in row[:-1])
    kinds = Counter(first for first, _ in pairs)
    single = Counter(token for row in rows for token in row[1:])
    total = single.total() + size + 1
    nats = []
    for row in dev:
        for first, then in itertools.pairwise([START, *map(int, row), END]):
            alone = (single[then] + 1) / total
            seen = before[first] + kinds[first]
            chance = (pairs[first, then] + kinds[first] * alone) / seen if seen else alone
            nats.append(-math.log(chance))
    return sum(nats) / max(1, len(nats))
