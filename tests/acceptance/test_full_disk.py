"""A disk that fills, a folder that cannot be written and data that change: one line, no loss."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kochi.training import prepare
from tests.acceptance.conftest import train_steps
from tests.conftest import Result

Kochi = Callable[..., Result]
Refuse = Callable[[str, int], None]


@pytest.fixture
def refuse() -> Iterator[Refuse]:
    """Return a function that makes every opening of files of a name fail, for this test."""
    refused: dict[str, int] = {}

    def hook(event: str, arguments: tuple) -> None:
        name = os.path.basename(str(arguments[0])) if event == "open" and refused else ""
        if name in refused:
            raise OSError(refused[name], os.strerror(refused[name]), str(arguments[0]))

    sys.addaudithook(hook)  # stays for ever, but then does nothing
    yield lambda name, code: refused.update({name: code}) if name else refused.clear()
    refused.clear()


def _one_line(result: Result, name: str, reason: str) -> None:
    assert result.code == 2
    assert "Traceback" not in result.err
    last = result.err.splitlines()[-1]
    assert last.startswith("kochi: ")
    assert name in last
    assert reason in last


@pytest.mark.parametrize(
    "name",
    [
        "last.ckpt.partial",
        "step-00000006.safetensors.partial",
        "train.csv.partial",
        "run.toml.partial",
        "model.safetensors.partial",
        "manifest.json.partial.partial",
        "finished.json.partial",
    ],
)
def test_a_full_disk_in_training(
    project: Path, resume: Callable[[], Result], at_step_8: bytes, refuse: Refuse, name: str
) -> None:
    refuse(name, errno.ENOSPC)
    result = resume()
    _one_line(result, name, "No space left on device")
    assert "is whole; make room and continue with --resume" in result.err
    refuse("", 0)
    assert resume().code == 0
    assert (project / "model" / "model.safetensors").read_bytes() == at_step_8


@pytest.mark.parametrize("name", ["source.tokens", "corpus.json", "manifest.json.partial"])
def test_a_full_disk_in_preparing(task: Path, refuse: Refuse, name: str) -> None:
    refuse(name, errno.ENOSPC)
    _one_line(train_steps(task, 2), "data", "No space left on device")
    refuse("", 0)
    assert train_steps(task, 2).code == 0


def test_a_folder_that_cannot_be_written(
    project: Path, resume: Callable[[], Result], refuse: Refuse
) -> None:
    refuse("last.ckpt.partial", errno.EACCES)
    result = resume()
    _one_line(result, "last.ckpt", "Permission denied")
    assert "allow writing there, or choose another output" in result.err


@pytest.mark.parametrize("what", ["evaluate", "show"])
def test_a_full_disk_of_what_was_asked_for(
    project: Path, kochi: Kochi, refuse: Refuse, what: str
) -> None:
    name = "out.txt" if what == "evaluate" else "out.png"
    out = project / name
    out.write_text("old")
    for refused in (name, f"{name}.partial"):
        refuse(refused, errno.ENOSPC)
    words = ("dev",) if what == "evaluate" else ("abc",)
    _one_line(kochi(what, project / "model", *words, "--out", out), name, "No space left")
    refuse("", 0)
    assert out.read_text() == "old"


def test_data_that_change_while_they_are_read(task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = prepare.make_readers

    def meddle(*arguments: object) -> object:
        with (task.parent / "train.tsv").open("a") as file:
            file.write("abc\tA B C\n")
        return make(*arguments)  # pyright: ignore[reportArgumentType]

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "make_readers", meddle)
        _one_line(train_steps(task, 2), "train.tsv", "was changed while it was being read")
    assert train_steps(task, 2).code == 0


def test_a_corpus_that_is_cut_short_in_training(project: Path) -> None:
    from kochi.data.corpus import Corpus
    from kochi.errors import UserError

    folder = project / "model" / "training" / "data" / "corpus"
    corpus = Corpus(folder)
    with (folder / "source.tokens").open("r+b") as file:
        file.truncate(4)
    with pytest.raises(UserError, match=r"source\.tokens was truncated while in use"):
        corpus.source(len(corpus) - 1)
