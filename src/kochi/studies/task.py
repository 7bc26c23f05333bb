"""The tasks of studies: data, how models are trained on them, and gold annotations."""

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kochi import config
from kochi.data.pair import Split
from kochi.errors import UserError
from kochi.modalities import modality_of
from kochi.modalities.pairs import read_pairs, split_files
from kochi.modalities.readers import make_readers
from kochi.modalities.tables import BaseData
from kochi.studies.language import Knobs, Part, write_pairs
from kochi.studies.models import spoken as spoken_model
from kochi.studies.speech import RATE_HZ, write_speech
from kochi.word_alignment import read_gold, word_counts

# The difficulty was chosen on draw 0, which decides nothing else (decision 0080): soft attention in
# Luong's order reaches about 85 BLEU after the number of steps of the studies.
KNOBS = Knobs(
    nouns=80, adjectives=40, verbs=40, conjunctions=4, swapping=2, ambiguous=0.5, fertility=3
)
PARTS = {"train": Part(2000), "dev": Part(200), "test": Part(400)}
# At that difficulty a fixed vector learns next to nothing, so where lengths are studied there are
# fewer words and no swaps, and 475 sentences: with 350 it does not train in most draws, with 700
# attention reaches 99 BLEU at any length.
FOCUS_KNOBS = Knobs(nouns=12, adjectives=6, verbs=9, ambiguous=0.5, fertility=3)
LONGEST = 14  # maximum number of source words of training sentences there
FOCUS_PARTS = {
    "train": Part(475, 3, LONGEST),
    "dev": Part(200, 3, LONGEST),
    "test": Part(100, 3, LONGEST),
    "long": Part(600, 3, 2 * LONGEST),
}
PILOT = 0  # the draw for tuning learning rates
TRAINING = {
    "max_steps": 600,
    "epochs": 1000,
    "batch_tokens": 1024,
    "learning_rate": 8e-3,
    "schedule": {"kind": "cosine", "warmup_steps": 50},
    "label_smoothing": 0.0,
    # At the usual 0.01 the Monte-Carlo gradient settles on one position before it has learned.
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


@dataclass(frozen=True)
class Task:
    """Data and training of a study.

    Attributes:
        name: The name of the data in reports and messages.
        run: Data, training and search as in a run file; each study sets its own models.
        size: Width of the studies' models.
        gold: The gold links of the test pairs, if they are known.
        long_test: A file of pairs that are longer than the training pairs, if there is one.
    """

    name: str
    run: config.Run
    size: int = 64
    gold: Path | None = None
    long_test: Path | None = None

    @property
    def reads(self) -> str:
        """The name of the sources' modality."""
        return modality_of(self.run.data).name

    @property
    def metric(self) -> str:
        """The metric of predictions."""
        chosen = self.run.training.metric
        return "bleu" if chosen == "loss" else chosen

    @cached_property
    def tokenizers(self) -> tuple[Any, Any]:
        """The tokenizers of source and target, for text."""
        with tempfile.TemporaryDirectory() as folder:
            return make_readers(self.run.data, Path(folder))

    @property
    def vocabularies(self) -> tuple[int, int]:
        """The vocabulary sizes of source and target, for text."""
        source, target = self.tokenizers
        return source.size, target.size

    @cached_property
    def trained_length(self) -> int:
        """The maximum length of training sources where length is studied, in tokens.

        With the user's own data, the shortest three fifths are used for training.
        """
        if self.long_test is not None:
            return LONGEST
        sources = [pair.source for pair in read_pairs(self.run.data, "train")]
        lengths = sorted(len(row) for row in self.tokenizers[0].encode_batch(sources))
        return lengths[min(len(lengths) - 1, 3 * len(lengths) // 5)]

    def with_model(self, model: dict[str, Any], seed: int, **training: Any) -> config.Run:
        """Return a run of this task that trains a model.

        Args:
            model: The model table.
            seed: Seed of weights, batches and draws.
            training: Other changes to the training table.

        Raises:
            UserError: There is no such model.
        """
        tree = self.run.model_dump(mode="json", exclude_none=True)
        tree |= {"model": model, "seed": seed, "training": tree["training"] | training}
        return config.check_run(tree, "study")

    def test_data(self, file: Path | None) -> tuple[BaseData, Split]:
        """Return the data and split of the test pairs: the task's own, or those of another file."""
        if file is None:
            return self.run.data, "test"
        return self.run.data.model_copy(update={"test": file}), "test"


@dataclass(frozen=True)
class Draws:
    """The tasks of a study, one for each seed.

    Attributes:
        name: The name of the data in reports and messages.
        make: Returns the task of a seed.
        crossed: Whether all seeds have the same data, as with the user's own; otherwise each has
            its own language, training pairs and test pairs.
        pilot: The seed of the task for tuning learning rates.
    """

    name: str
    make: Callable[[int], Task]
    crossed: bool = False
    pilot: int = PILOT
    _made: dict[int, Task] = field(default_factory=dict, compare=False, repr=False)

    def task(self, seed: int) -> Task:
        """Return the task of a seed."""
        if seed not in self._made:
            self._made[seed] = self.make(seed)
        return self._made[seed]

    @property
    def any(self) -> Task:
        """A task that shows what all tasks have in common."""
        return self.task(self.pilot)

    @property
    def reads(self) -> str:
        """The name of the sources' modality."""
        return self.any.reads

    @property
    def quality(self) -> str:
        """The metric, as in the heading of a column."""
        names = {"bleu": "BLEU", "chrf": "chrF", "exact": "exact match, %"}
        return names.get(self.any.metric, f"{self.any.metric.upper()}, %")


def made_up(
    folder: Path, size: int = 64, knobs: Knobs = KNOBS, parts: Mapping[str, Part] | None = None
) -> Draws:
    """Return the default tasks: a synthetic language for each seed, written unless it exists.

    Args:
        folder: The folder of the data.
        size: Width of the models.
        knobs: The difficulty of the language.
        parts: Number of sentences and their lengths; None for `PARTS`.
    """

    def make(seed: int) -> Task:
        own = folder.resolve() / str(seed)
        chosen = dict(PARTS if parts is None else parts)
        _write_once(own, (chosen, knobs), lambda: write_pairs(own, chosen, seed, knobs))
        return _written_task(own, size, "long" in chosen)

    return Draws("a made-up language for each draw", make)


def _write_once(folder: Path, settings: Any, write: Callable[[], object]) -> None:
    """Write data unless they exist and were written with the same settings."""
    about = folder / "settings.txt"
    if not about.exists() or about.read_text(encoding="utf-8") != repr(settings):
        write()
        about.write_text(repr(settings), encoding="utf-8")


def _written_task(folder: Path, size: int, long: bool) -> Task:
    tokens = {"tokens": "whitespace"}
    splits = {split: f"{split}.tsv" for split in ("train", "dev", "test")}
    tree = {
        "data": {"kind": "tsv", "folder": str(folder), **splits, "source": tokens, "target": tokens}
        | {"tokenized": True},
        "model": {"kind": "plain"},
        "training": TRAINING,
        "search": {"beam": 1},
    }
    return Task(
        "a made-up language",
        config.check_run(tree, "the made-up language"),
        size,
        gold=folder / "test.links",
        long_test=folder / "long.tsv" if long else None,
    )


def spoken(folder: Path, size: int = 64) -> Draws:
    """Return the default tasks for audio: synthetic speech, written unless it exists."""

    def make(seed: int) -> Task:
        own = folder.resolve() / str(seed)
        _write_once(own, SPOKEN_SIZES, lambda: write_speech(own, SPOKEN_SIZES, seed))
        splits = {split: f"{split}.tsv" for split in SPOKEN_SIZES}
        data = {
            "kind": "sound",
            "folder": str(own),
            **splits,
            "target": {"tokens": "whitespace"},
        }
        front_end = {"sample_rate_hz": RATE_HZ, "mel_bins": 24}
        tree = {
            "data": data | {"front_end": front_end},
            "model": spoken_model(size),
            "training": SPOKEN_TRAINING,
            # A word spans about seven positions of the encoder: this allows three times the words.
            "search": {"beam": 1, "max_length_ratio": 0.4, "max_length_extra": 5},
        }
        return Task("made-up speech", config.check_run(tree, "the made-up speech"), size)

    return Draws("made-up speech for each draw", make)


def own(run_file: Path, changes: list[str], gold: Path | None, size: int) -> Draws:
    """Return a task of the user's data, the same for every seed.

    Args:
        run_file: A run file as written by ``kochi init``, for its data, training and search tables.
        changes: Changes as in ``kochi train --set``.
        gold: Gold links of the test pairs, one line per pair.
        size: Width of the models.

    Raises:
        UserError: The run file or the links are unusable.
    """
    run = config.read_run(run_file, changes)
    if gold is not None:  # one line of links per row
        data = run.data.model_copy(update={"group_references": False})
        run = run.model_copy(update={"data": data})
    for split, purpose in (
        ("dev", "learning rates are chosen on it"),
        ("test", "models are compared on it"),
    ):
        if getattr(run.data, split) is None:
            raise UserError(
                f"{run_file}: data.{split} is not set; a study needs it, as {purpose}: name a "
                "file, or let 'kochi init DATA --split 0.8/0.1/0.1' set rows aside"
            )
    task = Task(str(run_file), run, size, gold)
    if gold is not None:
        if task.reads != "text":
            raise UserError(f"{gold}: links are of words, but {run_file} reads no text")
        texts = ((pair.source, pair.references[0]) for pair in read_pairs(run.data, "test"))
        read_gold(gold, word_counts(texts))
    return Draws(str(run_file), lambda seed: task, crossed=True)


def fingerprint(data: BaseData, split: Split) -> list[str]:
    """Return the hashes of the files of a split, which identify them."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in split_files(data, split)]
