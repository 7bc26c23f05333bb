"""`kochi init` in a fresh folder, and a tiny model that copies words with rare letters."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import LETTERS, RUN, Result, run_command, write_data

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
def copier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder: it has learned to copy letters and where there are rare ones."""
    folder = tmp_path_factory.mktemp("copier")
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
    result = run_command("train", folder / "run.toml")
    assert result.code == 0, result.err
    return folder / "model"


def train_steps(run_file: Path, steps: int, *options: str) -> Result:
    """Train to a step; a run of fewer steps is the beginning of one of more, bit for bit."""
    changes = [
        f"max_steps={steps}",
        "evaluate_every=2",
        "checkpoint_every=1",
        "schedule.kind=constant",
        "average_last=2",
    ]
    sets = [word for change in changes for word in ("--set", f"training.{change}")]
    return run_command("train", run_file, *sets, *options)


@pytest.fixture(scope="session")
def half_trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, run file and a model trained to step 4. Not to be changed."""
    run_file = write_data(tmp_path_factory.mktemp("half"))
    result = train_steps(run_file, 4)
    assert result.code == 0, result.err
    return run_file.parent


@pytest.fixture(scope="session")
def at_step_8(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights of the same model, trained to step 8 without a stop."""
    run_file = write_data(tmp_path_factory.mktemp("whole"))
    assert train_steps(run_file, 8).code == 0
    return (run_file.parent / "model" / "model.safetensors").read_bytes()


@pytest.fixture
def project(half_trained: Path, tmp_path: Path) -> Path:
    """A copy of `half_trained`, elsewhere."""
    return Path(shutil.copytree(half_trained, tmp_path / "project"))


@pytest.fixture
def resume(project: Path) -> Callable[[], Result]:
    """Train the model of `project` on, to step 8."""
    return lambda: train_steps(project / "run.toml", 8, "--resume")
