"""An output folder that holds anything that kochi did not write is refused, and left as it is."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from tests.acceptance.conftest import train_steps


def _contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder; links count as files."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(
            os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def assert_refused(run_file: Path, name: str, *options: str) -> None:
    """Train, and expect one line that names a file, and that nothing was changed."""
    before = _contents(run_file.parent)
    result = train_steps(run_file, 4, *options)
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert name in result.err
    assert "nothing was changed: move it elsewhere, or choose another output" in result.err
    assert _contents(run_file.parent) == before


OVERWRITE = pytest.mark.parametrize("options", [(), ("--overwrite",), ("--resume",)], ids=str)


@OVERWRITE
def test_output_here_beside_a_readme(task: Path, options: tuple[str, ...]) -> None:
    (task.parent / "README.md").write_text("mine")
    assert_refused(task, "README.md: was not written by kochi", "--set", "output=.", *options)


@OVERWRITE
def test_the_folder_of_the_data(task: Path, options: tuple[str, ...]) -> None:
    data = task.parent / "data"
    data.mkdir()
    for name in ("train.tsv", "dev.tsv"):
        (task.parent / name).rename(data / name)
    settings = ["--set", "data.folder=data"]
    assert_refused(task, "dev.tsv", *settings, "--set", "output=data", *options)
    assert_refused(task, "dev.tsv", *settings, "--set", "output=.", *options)


@pytest.mark.parametrize(
    "name", ["notes.txt", "sub/folder/notes.txt", ".hidden", "training/train.csv", "run.toml"]
)
@OVERWRITE
def test_a_folder_with_notes(task: Path, name: str, options: tuple[str, ...]) -> None:
    path = task.parent / "model" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    version = "this version of " if "train.csv" in name else ""
    assert_refused(task, f"{path}: was not written by {version}kochi", *options)


def test_a_link_to_a_folder_with_notes(task: Path) -> None:
    (task.parent / "mine").mkdir()
    (task.parent / "mine" / "notes.txt").write_text("mine")
    (task.parent / "model").symlink_to("mine")
    assert_refused(task, "notes.txt: was not written by kochi")


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "training/notes.txt", "training/weights/best.safetensors", "training/data/x.tsv"],
)
@OVERWRITE
def test_notes_in_a_folder_that_kochi_wrote(
    project: Path, name: str, options: tuple[str, ...]
) -> None:
    (project / "model" / name).write_text("mine")
    assert_refused(project / "run.toml", f"{name}: was not written by kochi", *options)


@OVERWRITE
def test_an_edited_readme_of_a_model(project: Path, options: tuple[str, ...]) -> None:
    with (project / "model" / "README.md").open("a") as file:
        file.write("What I found out about this model\n")
    assert_refused(project / "run.toml", "README.md: was changed after kochi wrote it", *options)


def test_a_link_in_a_training(project: Path) -> None:
    (project / "model" / "training" / "train.csv").unlink()
    (project / "model" / "training" / "train.csv").symlink_to(project / "train.tsv")
    assert_refused(project / "run.toml", "train.csv: is a link", "--overwrite")


def test_what_kochi_wrote_is_replaced(project: Path) -> None:
    run_file, model = project / "run.toml", project / "model"
    before = _contents(model)
    (model / ".DS_Store").write_text("of the system")
    result = train_steps(run_file, 4)
    assert result.code == 2
    assert "holds a finished model; continue with --resume" in result.err
    assert train_steps(run_file, 2, "--overwrite").code == 0
    assert _contents(model)["model.safetensors"] != before["model.safetensors"]
    shutil.rmtree(model)
    (model / "training" / "weights").mkdir(parents=True)  # folders without files are nobody's
    assert train_steps(run_file, 4).code == 0
    assert _contents(model)["model.safetensors"] == before["model.safetensors"]
