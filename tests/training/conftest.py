"""A tiny task (turn a row of letters round) and run files for it."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MakeRun = Callable[..., Any]


@pytest.fixture(scope="session")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with train.tsv and dev.tsv."""
    folder = tmp_path_factory.mktemp("letters")
    chance = random.Random(3)
    for split, rows in (("train", 120), ("dev", 12)):
        lines = ["source\ttarget"]
        for _ in range(rows):
            word = [chance.choice("abcdef") for _ in range(chance.randint(1, 6))]
            lines.append(" ".join(word) + "\t" + " ".join(reversed(word)))
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def make_run(letters: Path, tmp_path: Path) -> MakeRun:
    """Return a maker of run files; keywords change the training table, others by their table.

    A key of the model that is None is left out.
    """
    from kochi import config

    def make(
        output: str = "out",
        data: dict[str, Any] | None = None,
        model: dict[str, Any] | None = None,
        seed: int = 1,
        **training: Any,
    ) -> config.Run:
        tokens = {"tokens": "whitespace"}
        tree = {
            "seed": seed,
            "output": str(tmp_path / output),
            "data": {
                "kind": "tsv",
                "folder": str(letters),
                "train": "train.tsv",
                "dev": "dev.tsv",
                "source": tokens,
                "target": tokens,
                **(data or {}),
            },
            "model": {
                "kind": "plain",
                "embedding_size": 8,
                "hidden_size": 8,
                "dropout": 0.1,
                **(model or {}),
            },
            "training": {
                "epochs": 2,
                "batch_tokens": 128,
                "learning_rate": 0.01,
                "schedule": {"kind": "constant", "warmup_steps": 0},
                "metric": "loss",
                "examples": 0,  # most tests do not look at them
                **training,
            },
        }
        tree["model"] = {key: value for key, value in tree["model"].items() if value is not None}
        return config.check_run(tree, "test")

    return make
