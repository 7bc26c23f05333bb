"""The cell that most studies share: train a model, then measure all that can be asked of it."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from typing_extensions import override

from kochi import config
from kochi.data.pairs import Pair, read_pairs
from kochi.errors import Interrupted
from kochi.links import find_links, pharaoh
from kochi.looking import points_of
from kochi.studies.cells import Cell, Result, digest
from kochi.studies.task import Task, fingerprint


@dataclass(frozen=True)
class Trained(Cell):
    """Train a model and answer a test set; see what it looks at while it writes the right answers.

    The result holds, a row for each test pair: ``answers``; of models that look ``zeros`` (how many
    weights are exactly 0, and how many there are) and ``nats`` (negative log-likelihood of the
    right answer, and how many tokens it has, its end included); of text ``source_lengths`` (tokens)
    and ``links`` (Pharaoh); of pictures ``points`` (words that have boxes, peaks in a box). And
    ``parameters``, ``seconds`` and ``tokens_per_second`` of the training. What does not apply is
    None.

    Args:
        task: Data and training.
        model: The model table.
        seed: Governs weights, batches and draws.
        test: A file of other pairs to measure on.
        max_length: Leave longer pairs out of training; None: as the task has it.
        start: Begin with the weights of this one; None: with new ones.
    """

    task: Task
    model: dict[str, Any]
    seed: int
    test: Path | None = None
    max_length: int | None = None
    start: "Trained | None" = None

    @property
    @override
    def after(self) -> tuple[Cell, ...]:
        """What it begins with must be trained."""
        return () if self.start is None else (self.start,)

    @property
    def run(self) -> config.Run:
        """The run that is trained, without its place."""
        run = self.task.with_model(self.model, self.seed)
        if self.max_length is None:
            return run
        data = run.data.model_copy(update={"max_length": self.max_length})
        return run.model_copy(update={"data": data})

    def key(self) -> dict[str, Any]:
        """Return what the model depends on, and what is measured on."""
        data, split = self.task.test_data(self.test)
        return {"run": self._training_key(), "test": fingerprint(data, split)}

    def _training_key(self) -> dict[str, Any]:
        tree = self.run.model_dump(mode="json", exclude_none=True)
        del tree["output"]
        for place in ("folder", "train", "dev", "test"):
            tree["data"].pop(place, None)
        splits = ("train", "dev") if self.run.data.dev is not None else ("train",)
        files = {split: fingerprint(self.run.data, split) for split in splits}
        start = {} if self.start is None else {"start": self.start._training_key()}
        return {"run": tree, "files": files, **start}

    @property
    @override
    def kin(self) -> str:
        """A name that is the same for other seeds."""
        test = None if self.test is None else self.test.name
        start = {} if self.start is None else {"start": self.start.kin}
        return digest({"model": self.model, "test": test, "max_length": self.max_length, **start})

    def check(self) -> None:
        """Refuse a model that cannot be built."""
        from kochi.training.run import check_model

        check_model(self.run)

    def model_folder(self, folder: Path) -> Path:
        """Where the trained model is kept; cells that differ only in the test set share it."""
        return folder / "models" / digest(self._training_key())

    def train(self, folder: Path) -> Path:
        """Train, go on, or find the model; return its folder.

        Raises:
            Interrupted: The training was stopped and saved.
        """
        from kochi.training.progress import Progress
        from kochi.training.run import train

        run, output = self.run, self.model_folder(folder)
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
        shutil.rmtree(output / "training", ignore_errors=True)
        return output

    def measure(self, folder: Path) -> Result:
        """Train (or go on, or find the model) and measure."""
        from kochi.predictor import load

        predictor = load(self.train(folder), "cpu")
        data, split = self.task.test_data(self.test)
        pairs = list(read_pairs(data, split))
        sources = [pair.source for pair in pairs]
        answers = [" ".join(one.text.splitlines()) for one in predictor.predict(sources)]
        seconds = predictor.metrics["seconds"]
        return {
            "answers": answers,
            "source_lengths": self._lengths(predictor, sources),
            **self._looks(predictor, pairs),
            "parameters": predictor.metrics["parameters"],
            "seconds": seconds,
            "tokens_per_second": predictor.metrics["target_tokens"] / max(seconds, 1e-9),
        }

    def _lengths(self, predictor: Any, sources: list[Any]) -> list[int] | None:
        if self.task.reads != "text":
            return None
        return [len(row) for row in predictor.source.encode_batch(sources)]

    def _looks(self, predictor: Any, pairs: list[Pair]) -> Result:
        if isinstance(self.run.model, config.PlainModel):
            return {"links": None, "zeros": None, "nats": None, "points": None}
        sources, targets = zip(*((pair.source, pair.references[0]) for pair in pairs), strict=True)
        forced = predictor.align(sources, targets, need_heads=True)
        zeros, nats = [], []
        for prediction in forced:
            heads: torch.Tensor = prediction.heads
            zeros.append([int((heads == 0.0).sum()), heads.numel()])
            nats.append([-prediction.n_best[0].log_probability, len(prediction.tokens) + 1])
        links = points = None
        if self.task.reads == "text":
            links = [
                pharaoh(find_links(predictor.merge_words(prediction.alignment, source, target)))
                for prediction, source, target in zip(forced, sources, targets, strict=True)
            ]
        elif self.task.reads == "pictures" and any(pair.boxes for pair in pairs):
            rows = points_of(predictor, pairs, forced)
            points = [[len(row), sum(hit for hit, _ in row)] for row in rows]
        return {"links": links, "zeros": zeros, "nats": nats, "points": points}
