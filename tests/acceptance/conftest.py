"""`kochi init` in a fresh folder, and a tiny model that copies words with rare letters."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import (
    LETTERS,
    RUN,
    Made,
    Result,
    run_command,
    sets,
    train_model,
    write_data,
)

RARE = "ghijklmnopqrstuvwxyz"


@pytest.fixture
def init(kochi, tmp_path, monkeypatch):
    """Run ``kochi init`` in a fresh folder and return what it printed and the run file."""
    from kochi import config  # not at the top: see tests/conftest.py

    monkeypatch.chdir(tmp_path)

    def run(data, *options):
        result = kochi("init", data, "--overwrite", "--no-estimate", *options)
        assert result.code == 0, result.err
        return result.out, config.read_run(tmp_path / "run.toml")

    return run


@pytest.fixture(scope="session")
def copier(made_once: Made) -> Path:
    """A model folder: it has learned to copy letters and where there are rare ones."""

    def make(folder: Path) -> None:
        drawn = random.Random(1)
        words = {
            "".join(drawn.choice(RARE if drawn.random() < 0.15 else LETTERS) for _ in range(length))
            for length in (2, 3, 4, 5, 6) * 70
        }
        rows = [f"{word}\t{word}" for word in sorted(words)]
        drawn.shuffle(rows)
        (folder / "train.tsv").write_text("\n".join(["source\ttarget", *rows[20:]]) + "\n")
        (folder / "dev.tsv").write_text("\n".join(["source\ttarget", *rows[:20]]) + "\n")
        cut = f"vocabulary_size = {4 + len(LETTERS)}"
        run = RUN.replace('target.tokens = "whitespace"', 'target.tokens = "characters"')
        run = run.replace("[model]", f"source.{cut}\ntarget.{cut}\n\n[model]")
        (folder / "run.toml").write_text(run.replace('"per"', '"cer"'), encoding="utf-8")
        train_model(folder / "run.toml")

    return made_once("copier", make) / "model"


def train_steps(run_file: Path, steps: int, *options: str) -> Result:
    """Train to a step; a run of fewer steps is the beginning of one of more, bit for bit."""
    changes = sets(
        f"training.max_steps={steps}",
        "training.evaluate_every=2",
        "training.checkpoint_every=1",
        "training.schedule.kind=constant",
        "training.average_last=2",
    )
    return run_command("train", run_file, *changes, *options)


@pytest.fixture(scope="session")
def half_trained(made_once: Made) -> Path:
    """A folder with data, run file and a model trained to step 4. Not to be changed."""

    def make(folder: Path) -> None:
        result = train_steps(write_data(folder), 4)
        assert result.code == 0, result.err

    return made_once("half_trained", make)


@pytest.fixture(scope="session")
def at_step_8(made_once: Made) -> bytes:
    """The weights of the same model, trained to step 8 without a stop."""

    def make(folder: Path) -> None:
        result = train_steps(write_data(folder), 8)
        assert result.code == 0, result.err

    return (made_once("at_step_8", make) / "model" / "model.safetensors").read_bytes()


@pytest.fixture
def project(half_trained: Path, tmp_path: Path) -> Path:
    """A copy of `half_trained`, elsewhere."""
    return Path(shutil.copytree(half_trained, tmp_path / "project"))


@pytest.fixture
def resume(project: Path) -> Callable[[], Result]:
    """Train the model of `project` on, to step 8."""
    return lambda: train_steps(project / "run.toml", 8, "--resume")
