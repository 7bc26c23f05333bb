"""What a study is done on: data, how models are trained on them, and what is known of them."""

import hashlib
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from kochi import config
from kochi.data.pairs import Split, read_pairs, split_files
from kochi.data.tokenizer import prepare_tokenizers
from kochi.errors import UserError
from kochi.links import read_gold, word_counts
from kochi.studies.language import write_pairs
from kochi.studies.models import spoken as spoken_model
from kochi.studies.speech import RATE_HZ, write_speech

SIZES = {"train": 2000, "dev": 200, "test": 400}
LONG_SIZE = 600
LONGEST = 12  # source words that sentences of the made-up language have, more or less
BEYOND = 30  # and those of the test of long ones
# Entropy: with the usual 0.01 the Monte-Carlo gradient settles on one place before it has learned.
TRAINING = {
    "max_steps": 600,
    "epochs": 1000,
    "batch_tokens": 1024,
    "learning_rate": 8e-3,
    "schedule": {"kind": "cosine", "warmup_steps": 50},
    "label_smoothing": 0.0,
    "reinforce": {"entropy_weight": 0.1},
    "metric": "bleu",
    "evaluate_every": 100,
}
SPOKEN_SIZES = {"train": 500, "dev": 60, "test": 200}
SPOKEN_TRAINING = {
    "max_steps": 400,
    "epochs": 1000,
    "batch_tokens": 3000,
    "learning_rate": 4e-3,
    "schedule": {"kind": "cosine", "warmup_steps": 40},
    "label_smoothing": 0.0,
    "metric": "wer",
    "evaluate_every": 100,
}


Reads = Literal["text", "speech", "pictures"]


@dataclass(frozen=True)
class Task:
    """Data and training of a study.

    Attributes:
        name: What the data are called in a report and in messages.
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
    def reads(self) -> Reads:
        """What the source is."""
        if isinstance(self.run.data, config.PictureData):
            return "pictures"
        return "text" if isinstance(self.run.data, config.TextData) else "speech"

    @property
    def metric(self) -> str:
        """How answers are measured."""
        chosen = self.run.training.metric
        return "bleu" if chosen == "loss" else chosen

    @cached_property
    def vocabularies(self) -> tuple[int, int]:
        """How many tokens the source's and the target's vocabulary have, of text."""
        assert isinstance(self.run.data, config.TextData)
        with tempfile.TemporaryDirectory() as folder:
            source, target = prepare_tokenizers(self.run.data, Path(folder))
        return source.size, target.size

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

    def shortened(self, share: float) -> "Task":
        """Return a task that trains for a share of the steps, at least 10."""
        training = self.run.training
        if share == 1.0 or training.max_steps is None:
            return self
        steps = max(10, round(share * training.max_steps))
        training = training.model_copy(update={"max_steps": steps})
        return replace(self, run=self.run.model_copy(update={"training": training}))

    def test_data(self, file: Path | None) -> tuple[config.Data, Split]:
        """Return where the pairs to measure on are: the task's own, or those of another file."""
        if file is None:
            return self.run.data, self.test
        return self.run.data.model_copy(update={"test": file}), "test"


def made_up(folder: Path, size: int = 64, seed: int = 1) -> Task:
    """Return the default task: a made-up language, written to a folder unless it is there."""
    place = folder.resolve()
    if not (place / "long.tsv").exists():
        write_pairs(place, SIZES, longest=LONGEST, seed=seed)
        write_pairs(place, {"long": LONG_SIZE}, longest=BEYOND, seed=seed)
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
        size,
        gold=place / "test.links",
        long_test=place / "long.tsv",
    )


def spoken(folder: Path, size: int = 64, seed: int = 1) -> Task:
    """Return the default task of what is heard: made-up speech, written unless it is there."""
    place = folder.resolve()
    if not (place / "test.tsv").exists():
        write_speech(place, SPOKEN_SIZES, seed)
    splits = {split: f"{split}.tsv" for split in SPOKEN_SIZES}
    data = {"kind": "sound", "folder": str(place), **splits, "target": {"tokens": "whitespace"}}
    front_end = {"sample_rate_hz": RATE_HZ, "mel_bins": 24}
    tree = {
        "data": data | {"front_end": front_end},
        "model": spoken_model(size),
        "training": SPOKEN_TRAINING,
        # A word lasts some seven places of the encoder: three times as many as were said.
        "search": {"beam": 1, "max_length_ratio": 0.4, "max_length_extra": 5},
    }
    return Task("made-up speech", config.check_run(tree, "the made-up speech"), size)


def own(run_file: Path, changes: list[str], gold: Path | None, size: int) -> Task:
    """Return a task of the user's data.

    Args:
        run_file: As ``kochi init`` writes it; its data, training and search tables count.
        changes: As ``kochi train --set`` takes them.
        gold: Right links of the test pairs, a line each.
        size: Width of the models.

    Raises:
        UserError: The run file or the links cannot be used.
    """
    run = config.read_run(run_file, changes)
    test: Split = "test" if run.data.test is not None else "dev"
    if getattr(run.data, test) is None:
        raise UserError(f"{run_file}: neither data.test nor data.dev is set, to measure on")
    task = Task(str(run_file), run, size, test, gold)
    if gold is not None:
        if task.reads != "text":
            raise UserError(f"{gold}: links are of words, but {run_file} reads no text")
        texts = ((pair.source, pair.references[0]) for pair in read_pairs(run.data, test))
        read_gold(gold, word_counts(texts))
    return task


def fingerprint(data: config.Data, split: Split) -> list[str]:
    """Return what tells the files of a split from others: their hashes."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in split_files(data, split)]
