"""The worked example in each verb's help runs."""

import shlex
import shutil

import pytest
import soundfile

from tests.hearing import RATE_HZ, samples_of
from tests.seeing import picture_of, save

LETTERS = ("abc", "bad", "cafe", "dead", "face", "fade", "bed", "cab", "dab", "fab", "ace", "add")
VERBS = ("init", "train", "predict", "evaluate", "show", "align", "compare", "study", "scenes")


@pytest.fixture
def desk(tiny, listener, streamer, seer, tmp_path, monkeypatch):
    """A folder with what the examples name: models, words with and without answers, files."""
    models = {"model": tiny, "other-model": tiny, "picture-model": seer}
    models |= {"speech-model": listener, "streaming-model": streamer}
    for name, model in models.items():
        shutil.copytree(model, tmp_path / name, ignore=shutil.ignore_patterns("training"))
    shutil.copy(tiny.parent / "dev.tsv", tmp_path)  # the split "test" of the models, beside them
    soundfile.write(tmp_path / "one.wav", samples_of("abc"), RATE_HZ)
    soundfile.write(tmp_path / "two.flac", samples_of("ba"), RATE_HZ)
    save(picture_of(("red", "blue")), tmp_path / "one.png")
    rows = [f"{word}\t{' '.join(word.upper())}" for word in ("abc", "bad", "cafe", "dead") * 10]
    (tmp_path / "words.tsv").write_text("\n".join(rows) + "\n")
    cells = [f"{number},{word},{word.upper()}" for number, word in enumerate(LETTERS)]
    (tmp_path / "table.csv").write_text("\n".join(["No.,English,German", *cells]) + "\n")
    (tmp_path / "words.txt").write_text("abc\nbad\n")
    (tmp_path / "sources.txt").write_text("abc\nbad\n")
    (tmp_path / "targets.txt").write_text("A B C\nB A D\n")
    (tmp_path / "links.txt").write_text("0-0 0?1\n0-0 0-1 0-2\n")
    (tmp_path / "more.tsv").write_text("source\ttarget\nabc\tA B C\n")
    monkeypatch.setattr("kochi.studies.parallel.WORDS", 256)  # of each step that is timed
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_example(kochi, line):
    """Run `kochi ...` or `echo TEXT | kochi ...`."""
    said, _, command = line.rpartition(" | ")
    stdin = (" ".join(shlex.split(said)[1:]) + "\n").encode() if said else b""
    program, *arguments = shlex.split(command)
    assert program == "kochi"
    return kochi(*arguments, stdin=stdin)


@pytest.mark.parametrize(
    "verb",
    [pytest.param(verb, marks=pytest.mark.slow) if verb == "study" else verb for verb in VERBS],
)
def test_worked_example(kochi, desk, verb):
    if verb in ("init", "train"):
        shutil.rmtree(desk / "model")
    text = kochi(verb, "--help")
    assert text.code == 0
    lines = [line.strip() for line in text.out.split("Example:\n")[1].splitlines()]
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    assert commands
    for command in commands:
        result = run_example(kochi, command)
        assert result.code == 0, (command, result.err)


def test_help_names_the_verbs(kochi):
    for result in (kochi(), kochi("--help"), kochi("-h")):
        assert result.code == 0
        assert all(f"\n  {verb} " in result.out for verb in VERBS)


def test_version(kochi):
    import kochi as package

    assert kochi("--version").out == f"kochi {package.__version__}\n"
