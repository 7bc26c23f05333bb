"""Of spelling to sound, WER is the share of words with any error; PER counts the sounds."""

import json
from pathlib import Path

import pytest

from tests.conftest import write_data

# The tiny model says each letter in upper case: one of nine sounds here is not what it says.
ROWS = "source\ttarget\nabc\tA B C\nfed\tF E F\nbad\tB A D\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "words.tsv"
    path.write_text(ROWS)
    return path


def test_evaluate_prints_it_beside_per(kochi, tiny, file):
    result = kochi("evaluate", tiny, file)
    assert result.code == 0, result.err
    assert result.lines[0] == "3 sources"
    assert result.lines[1].startswith("PER 11.1 % [")
    assert result.lines[2].startswith("WER 33.3 % [")
    assert "wer:rows-with-any-error" in result.lines[2]
    assert "unit:words" in result.lines[1]


def test_it_can_be_asked_for_and_compared(kochi, tiny, file, tmp_path):
    scores = json.loads(kochi("evaluate", tiny, file, "--metric", "wer", "--json").out)["scores"]
    assert scores["wer"]["value"] == pytest.approx(100 / 3)
    assert kochi("train", write_data(tmp_path), "--set", "training.max_steps=2").code == 0
    record = json.loads(
        kochi("compare", tiny, tmp_path / "model", file, "--metric", "wer", "--json").out
    )
    assert record["scores"][str(tiny)]["value"] == pytest.approx(100 / 3)
    assert record["scores"][str(tmp_path / "model")]["value"] == 100.0
    assert record["rows"] == record["pairs"] == 3


def test_training_chooses_by_it(kochi, task):
    changes = ("training.metric=wer", "training.max_steps=20", "training.evaluate_every=20")
    result = kochi("train", task, *(part for one in changes for part in ("--set", one)))
    assert result.code == 0, result.err
    assert "wer is the share of rows with any error" in result.err
    dev = json.loads((task.parent / "model" / "metrics.json").read_text())["dev"]
    assert dev["signature"].endswith("wer:rows-with-any-error")
    assert 0.0 <= dev["value"] <= 100.0
    model = task.parent / "model"
    record = json.loads(
        kochi("evaluate", model, "dev", "--beam", "1", "--metric", "wer", "--json").out
    )
    assert record["scores"]["wer"]["value"] == dev["value"]


def test_the_run_file_may_say_that_rows_are_text(kochi, task, tmp_path):
    changes = ("data.row=text", "training.max_steps=1")
    assert kochi("train", task, *(part for one in changes for part in ("--set", one))).code == 0
    result = kochi("evaluate", task.parent / "model", "dev", "--metric", "wer", "--metric", "per")
    wer, per = (line.split("   ") for line in result.lines[1:])
    assert wer[0].removeprefix("WER") == per[0].removeprefix("PER")
    assert wer[1] == per[1]


def test_a_model_chosen_by_another_wer_is_told_apart(kochi, task, tmp_path):
    from kochi.folder import load_folder, read_weights, save_folder

    changes = ("training.metric=wer", "training.max_steps=1")
    assert kochi("train", task, *(part for one in changes for part in ("--set", one))).code == 0
    model = task.parent / "model"
    assert "kochi whose" not in kochi("evaluate", model, "dev").err
    one, weights = load_folder(model), read_weights(model / "model.safetensors")
    del one.metrics["dev"]["signature"]  # as it was written before
    save_folder(tmp_path / "old", one.run, weights, one.source, one.target, one.metrics, "")
    result = kochi("evaluate", tmp_path / "old", "dev")
    assert result.code == 0, result.err
    assert "trained by an older kochi whose 'wer' counted the target's tokens" in result.err
