import json
import shutil

import pytest

from tests.commands.test_bad_input import complaint
from tests.conftest import train_model


@pytest.fixture(scope="session")
def worse(translator, made_once):
    """A model of the same data that has hardly learned anything."""

    def make(folder):
        for name in ("train.tsv", "dev.tsv", "test.tsv", "run.toml"):
            shutil.copy(translator.parent / name, folder / name)
        train_model(folder / "run.toml", "--set", "training.max_steps=60")

    return made_once("worse", make) / "model"


def test_says_which_is_better_and_shows_where(kochi, translator, worse):
    result = kochi("compare", translator, worse, "test", "--show", 2)
    assert result.code == 0, result.err
    assert result.lines[0] == "60 sources"
    assert result.lines[1].startswith(f"{translator}") and "BLEU" in result.lines[1]
    assert result.lines[3].strip().endswith("p = 0.001: worse")
    sources = [line for line in result.lines if line.startswith("source: ")]
    assert len(sources) == 2
    known = (translator.parent / "test.source").read_text().splitlines()
    assert {line.removeprefix("source: ") for line in sources} <= set(known)
    assert result.out.count("██") > 5  # the alignments


def test_the_other_way_round_the_signs_turn(kochi, translator, worse):
    one = json.loads(kochi("compare", translator, worse, "test", "--json").out)
    two = json.loads(kochi("compare", worse, translator, "test", "--json").out)
    first, second = one["against_first"][str(worse)], two["against_first"][str(translator)]
    assert first["better"] == "first" and second["better"] == "second"
    assert first["difference"] == pytest.approx(-second["difference"])
    assert one["scores"] == two["scores"]
    assert first["first"] == pytest.approx(one["scores"][str(translator)]["value"])


def test_models_that_answer_alike(kochi, translator, tmp_path):
    shutil.copytree(translator, tmp_path / "copy", ignore=shutil.ignore_patterns("training"))
    result = kochi("compare", translator, tmp_path / "copy", translator.parent / "test.tsv")
    assert result.code == 0, result.err
    assert "+0.0 [+0.0, +0.0], p = 1.000: no clear difference" in result.out
    assert "source: " not in result.out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "expected at least two models, followed by the data"),
        (["{model}"], "the same model is given twice"),
        (["{heard}"], "reads frames, but"),
        (["none"], "none: no such model folder"),
        (["{heard}", "--metric", "blue"], "--metric: got 'blue', expected one of 'bleu', 'chrf'"),
    ],
)
def test_what_cannot_be_compared(kochi, translator, heard, options, expected):
    named = [option.format(model=translator, heard=heard) for option in options]
    assert expected in complaint(kochi("compare", translator, *named, "test"))
