"""What a study is done on: pairs of text, how models are trained on them, and what is known."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kochi import config
from kochi.data.pairs import Split, read_pairs, split_files
from kochi.errors import UserError
from kochi.links import read_gold
from kochi.studies.language import write_pairs

SIZES = {"train": 4000, "dev": 200, "test": 400}
LONGEST = 12  # source words that sentences of the made-up language have, more or less
BEYOND = 30  # and those of the test of long ones
TRAINING = {
    "max_steps": 400,
    "batch_tokens": 1024,
    "learning_rate": 4e-3,
    "schedule": {"kind": "cosine", "warmup_steps": 50},
    "label_smoothing": 0.0,
    "metric": "bleu",
}


@dataclass(frozen=True)
class Task:
    """Data and training of a study.

    Attributes:
        name: What the data are called in a report.
        run: Data, training and search as in a run file; each study puts in models of its own.
        size: Width of the studies' models.
        test: Which split is measured on.
        gold: The right links of the test pairs, where they are known.
        long_test: A file of pairs that are longer than those trained on, if there is one.
    """

    name: str
    run: config.Run
    size: int = 64
    test: Split = "test"
    gold: Path | None = None
    long_test: Path | None = None

    @property
    def metric(self) -> str:
        """How answers are measured."""
        chosen = self.run.training.metric
        return "bleu" if chosen == "loss" else chosen

    def with_model(self, model: dict[str, Any], seed: int, **training: Any) -> config.Run:
        """Return a run of this task that trains a model.

        Args:
            model: The model table.
            seed: Governs weights, batches and draws.
            training: What else is changed in the training table.

        Raises:
            UserError: There is no such model.
        """
        tree = self.run.model_dump(mode="json", exclude_none=True)
        tree |= {"model": model, "seed": seed, "training": tree["training"] | training}
        return config.check_run(tree, "study")

    def test_data(self, file: Path | None) -> tuple[config.Data, Split]:
        """Return where the pairs to measure on are: the task's own, or those of another file."""
        if file is None:
            return self.run.data, self.test
        return self.run.data.model_copy(update={"test": file}), "test"


def made_up(folder: Path, seed: int = 1) -> Task:
    """Return the default task: a made-up language, written to a folder unless it is there."""
    place = folder.resolve()
    if not (place / "long.tsv").exists():
        write_pairs(place, SIZES, longest=LONGEST, seed=seed)
        write_pairs(place, {"long": 600}, longest=BEYOND, seed=seed)
    tokens = {"tokens": "whitespace"}
    splits = {split: f"{split}.tsv" for split in SIZES}
    tree = {
        "data": {"kind": "tsv", "folder": str(place), **splits, "source": tokens, "target": tokens}
        | {"tokenized": True},
        "model": {"kind": "plain"},
        "training": TRAINING,
        "search": {"beam": 1},
    }
    return Task(
        "a made-up language",
        config.check_run(tree, "the made-up language"),
        gold=place / "test.links",
        long_test=place / "long.tsv",
    )


def own(run_file: Path, changes: list[str], gold: Path | None, size: int) -> Task:
    """Return a task of the user's data.

    Args:
        run_file: As ``kochi init`` writes it; its data, training and search tables count.
        changes: As ``kochi train --set`` takes them.
        gold: Right links of the test pairs, a line each.
        size: Width of the models.

    Raises:
        UserError: The run file or the links cannot be used, or the data are not pairs of text.
    """
    run = config.read_run(run_file, changes)
    if not isinstance(run.data, config.TextData):
        raise UserError(
            f"{run_file}: the data are of kind {run.data.kind!r}; these studies need pairs of text"
        )
    test: Split = "test" if run.data.test is not None else "dev"
    if getattr(run.data, test) is None:
        raise UserError(f"{run_file}: neither data.test nor data.dev is set, to measure on")
    task = Task(str(run_file), run, size, test, gold)
    if gold is not None:
        read_gold(gold, [(pair.source, pair.references[0]) for pair in read_pairs(run.data, test)])
    return task


def fingerprint(data: config.Data, split: Split) -> list[str]:
    """Return what tells the files of a split from others: their hashes."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in split_files(data, split)]
