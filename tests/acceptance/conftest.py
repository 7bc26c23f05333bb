"""`kochi init` in a fresh folder, and a tiny model that copies words with rare letters."""

import random
from pathlib import Path

import pytest

from tests.conftest import LETTERS, RUN, run_command

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
