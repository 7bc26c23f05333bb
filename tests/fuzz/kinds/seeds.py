"""Valid files that cases begin with: tiny tasks, and models trained on them for a few steps."""

import shutil
from pathlib import Path
from random import Random

from tests.hearing import write_features, write_sounds
from tests.seeing import write_pictures

WORDS = tuple("".join(Random(number).choices("abcdef", k=1 + number % 6)) for number in range(40))
RUN = """
seed = 3
output = "model"

[data]
kind = "tsv"
train = "train.tsv"
dev = "dev.tsv"
source_column = "source"
target_column = "target"
separator = "\\t"
source = { tokens = "characters", lowercase = false }
target = { tokens = "whitespace", normalization = "nfc" }
max_length = 50

[model]
kind = "rnn"
embedding_size = 8
hidden_size = 8
dropout = 0.1
attention = { score = "general", scope = "global", selection = "soft", num_heads = 1 }

[training]
epochs = 2
batch_tokens = 256
learning_rate = 0.01
schedule = { kind = "cosine", warmup_steps = 2, final_fraction = 0.1 }
betas = [0.9, 0.98]
label_smoothing = 0.1
metric = "per"
evaluate_every = 2
examples = 0
checkpoint_every = 2
average_last = 2

[search]
beam = 1
length_penalty = 1.0
batch_size = 4
max_length_extra = 3
"""


def kochi(*arguments: object) -> None:
    """Run a command that must succeed."""
    from kochi.cli import main

    code = main([str(argument) for argument in arguments])
    if code != 0:
        raise RuntimeError(f"exit code {code}")


def table(words: tuple[str, ...] = WORDS) -> str:
    """Return the table of the task: each letter is to be said in upper case."""
    rows = [f"{word}\t{' '.join(word.upper())}" for word in words]
    return "\n".join(["source\ttarget", *rows]) + "\n"


def write_task(folder: Path) -> Path:
    """Write the task on text and its run file; return the run file."""
    (folder / "train.tsv").write_text(table())
    (folder / "dev.tsv").write_text(table(WORDS[:6]))
    (folder / "run.toml").write_text(RUN)
    return folder / "run.toml"


def text(folder: Path) -> None:
    """Train a model of text."""
    kochi("train", write_task(folder), "--set", "training.max_steps=20")


def half_trained(folder: Path) -> None:
    """Train for some steps, which can be resumed; beside it is what then comes of it."""
    task = write_task(folder)
    kochi("train", task, "--set", "training.max_steps=4")
    whole = shutil.copytree(folder, folder.with_name(f"{folder.name}-resumed"), dirs_exist_ok=True)
    kochi("train", whole / "run.toml", "--set", "training.max_steps=6", "--resume")


def features(folder: Path) -> None:
    """Train a model of features."""
    kochi("train", write_features(folder), "--set", "training.max_steps=20")


def sound(folder: Path) -> None:
    """Train a model of recordings."""
    kochi("train", write_sounds(folder, ["a", "b", "c", "ab"]), "--set", "training.max_steps=2")


def pictures(folder: Path) -> None:
    """Train a model of pictures."""
    kochi("train", write_pictures(folder), "--set", "training.max_steps=20")
