"""A flipped bit anywhere in what `--resume` reads is one line, and never another model."""

import csv
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import train_steps
from tests.conftest import Result


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    bit = random.Random(path.name).randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def _weights(project: Path) -> bytes:
    return (project / "model" / "model.safetensors").read_bytes()


def _warnings(result: Result) -> list[str]:
    return [line for line in result.err.splitlines() if line.startswith("warning:")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("last.ckpt", "last.ckpt: damaged"),
        ("run.toml", "run.toml: damaged"),
        ("weights/step-00000004.safetensors", "written again from its other copy"),
        ("weights/step-00000002.copy.safetensors", "written again from its other copy"),
        ("data/manifest.json", "manifest.json: damaged"),
        ("data/files.json", "files.json: damaged"),
        ("data/source.json", "source.json: damaged"),
        ("data/corpus/corpus.json", "corpus.json: damaged"),
        ("data/corpus/source.tokens", "source.tokens: damaged"),
        ("data/corpus/target.offsets", "target.offsets: damaged"),
    ],
)
def test_one_damaged_file(
    project: Path,
    resume: Callable[[], Result],
    at_step_8: bytes,
    name: str,
    message: str,
) -> None:
    _flip(project / "model" / "training" / name)
    result = resume()
    assert result.code == 0, result.err
    [warning] = _warnings(result)
    assert message in warning
    assert _weights(project) == at_step_8


def test_the_step_gone_back_to_is_told(project: Path, resume: Callable[[], Result]) -> None:
    _flip(project / "model" / "training" / "last.ckpt")
    err = resume().err
    assert "going on from the checkpoint before, step 3" in err
    assert "going on after step 3 of 8" in err
    with (project / "model" / "training" / "train.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == [8]
    with (project / "model" / "training" / "evaluations.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [2, 4, 6, 8]


def test_several_damaged_files_of_the_last_state(
    project: Path, resume: Callable[[], Result], at_step_8: bytes
) -> None:
    training = project / "model" / "training"
    for name in ("step-00000004.safetensors", "step-00000004.copy.safetensors"):
        _flip(training / "weights" / name)
    result = resume()
    assert result.code == 0, result.err
    assert "step-00000004.safetensors: damaged" in result.err
    assert _weights(project) == at_step_8


def test_no_whole_state_is_left(project: Path, resume: Callable[[], Result]) -> None:
    before = _weights(project)
    for name in ("last.ckpt", "previous.ckpt"):
        _flip(project / "model" / "training" / name)
    result = resume()
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "no checkpoint is intact" in result.err
    assert _weights(project) == before


def test_a_damaged_first_checkpoint_is_a_new_start(
    project: Path, resume: Callable[[], Result], at_step_8: bytes
) -> None:
    (project / "model" / "training" / "previous.ckpt").unlink()
    _flip(project / "model" / "training" / "last.ckpt")
    result = resume()
    assert result.code == 0, result.err
    assert "no checkpoint came before: going on from step 0" in result.err
    assert _weights(project) == at_step_8


def test_a_damaged_corpus_without_its_data(project: Path, resume: Callable[[], Result]) -> None:
    before = _weights(project)
    _flip(project / "model" / "training" / "data" / "corpus" / "source.tokens")
    (project / "train.tsv").unlink()
    result = resume()
    assert result.code == 2
    assert "source.tokens: damaged" in result.err
    assert "bring the file or the data back" in result.err
    assert _weights(project) == before


def test_a_damaged_corpus_with_other_data(project: Path, resume: Callable[[], Result]) -> None:
    before = _weights(project)
    _flip(project / "model" / "training" / "data" / "corpus" / "source.tokens")
    with (project / "train.tsv").open("a") as file:
        file.write("abc\tA B C\n")
    result = resume()
    assert result.code == 2
    assert "the data were prepared again and differ" in result.err
    assert _weights(project) == before


def test_a_damaged_run_file_hides_no_change(project: Path, kochi: Callable[..., Result]) -> None:
    _flip(project / "model" / "training" / "run.toml")
    changes = ["--set", "seed=5", "--set", "training.max_steps=8"]
    result = kochi("train", project / "run.toml", "--resume", *changes)
    assert result.code == 2
    assert "the run file differs from the one that the run was started with" in result.err


def test_a_damaged_mark_of_the_end(project: Path, kochi: Callable[..., Result]) -> None:
    before = _weights(project)
    _flip(project / "model" / "training" / "finished.json")
    result = train_steps(project / "run.toml", 4, "--resume")
    assert result.code == 0, result.err
    assert _weights(project) == before


def test_a_missing_file_of_the_finished_model(project: Path) -> None:
    before = _weights(project)
    (project / "model" / "model.safetensors").unlink()
    assert train_steps(project / "run.toml", 4, "--resume").code == 0
    assert _weights(project) == before
