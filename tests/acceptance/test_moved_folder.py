"""A model folder that was moved or copied works where it is, and says nothing of where it was."""

import getpass
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import train_steps
from tests.conftest import Result, write_data

Kochi = Callable[..., Result]


def _texts(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_moved_model_answers_and_finds_data_beside_it(project: Path, kochi: Kochi) -> None:
    result = kochi("evaluate", project / "model", "dev")
    assert result.code == 0, result.err
    assert "sources" in result.out
    assert kochi("predict", project / "model", stdin=b"abc\n").code == 0


def test_a_moved_model_without_its_data(project: Path, kochi: Kochi, tmp_path: Path) -> None:
    alone = shutil.move(project / "model", tmp_path / "alone")
    data = shutil.move(project / "dev.tsv", tmp_path / "mine.tsv")
    shutil.rmtree(project)
    assert kochi("predict", alone, stdin=b"abc\n").code == 0
    result = kochi("evaluate", alone, "dev")
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "dev.tsv: no such file" in result.err
    assert "name the data instead of the split" in result.err
    assert kochi("evaluate", alone, data).code == 0


def test_predict_opens_nothing_beside_the_model(project: Path, kochi: Kochi) -> None:
    opened: list[Path] | None = []

    def hook(event: str, arguments: tuple) -> None:  # stays for ever, but then does nothing
        if opened is not None and event == "open" and isinstance(arguments[0], str):
            opened.append(Path(arguments[0]))

    sys.addaudithook(hook)
    assert kochi("predict", project / "model", stdin=b"abc\n").code == 0
    found, opened = opened, None
    here = [path for path in found if path.is_relative_to(project)]
    assert {path.name for path in here} >= {"model.safetensors", "source.json"}
    assert all(path.parent == project / "model" for path in here)


def test_a_half_trained_folder_goes_on_elsewhere(
    resume: Callable[[], Result], project: Path, at_step_8: bytes
) -> None:
    result = resume()
    assert result.code == 0, result.err
    assert (project / "model" / "model.safetensors").read_bytes() == at_step_8


@pytest.mark.parametrize("place", ["near", "far"])
def test_no_path_of_the_machine_is_published(
    tmp_path: Path, kochi: Kochi, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    home = tmp_path / "home" / "alice"
    monkeypatch.setenv("HOME", str(home))
    data = home / "project" if place == "near" else tmp_path / "corpora" / "secret"
    data.mkdir(parents=True)
    (home / "project").mkdir(parents=True, exist_ok=True)
    run_file = write_data(data)
    if place == "far":
        run_file = Path(shutil.move(run_file, home / "project" / "run.toml"))
    absolute = [f'data.{split}="{data}/{split}.tsv"' for split in ("train", "dev")]
    sets = [f'data.folder="{data}"', f'output="{home}/project/model"', *absolute]
    sets += ["data.test=dev.tsv"]
    options = [word for change in sets for word in ("--set", change)]
    assert train_steps(run_file, 2, *options).code == 0
    model = home / "project" / "model"
    told = [str(tmp_path), "alice", str(data), "secret", "corpora"]
    for path, content in _texts(model).items():
        for name in told if getpass.getuser() in str(tmp_path) else [*told, getpass.getuser()]:
            assert name.encode() not in content, f"{path} has {name}"
    result = kochi("evaluate", model, "dev")
    if place == "near":
        assert result.code == 0, result.err
    else:
        assert result.code == 2
        assert "dev.tsv: no such file" in result.err
    assert kochi("evaluate", model, data / "dev.tsv").code == 0
    longer = train_steps(run_file, 4, *options, "--resume")  # it knows its data where they are
    assert longer.code == 0, longer.err


def test_the_next_command_leads_to_far_data(tmp_path: Path, kochi: Kochi) -> None:
    (tmp_path / "a" / "b" / "c" / "d").mkdir(parents=True)
    run_file = write_data(tmp_path)
    output = tmp_path / "a" / "b" / "c" / "d" / "model"
    result = train_steps(run_file, 2, "--set", f"output={output}")
    assert f"kochi evaluate {output} {os.path.abspath(tmp_path / 'dev.tsv')}" in result.out
