"""The package in ``examples/``: installed as its users would, it adds a score and an encoder."""

import importlib
import json
import random
import shutil
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import pytest
import torch

from kochi import load
from kochi.attention import SCORES, build
from kochi.encoders import ENCODERS
from kochi.inputs import FrameInput
from tests.hearing import write_features

EXAMPLE = Path(__file__).parents[2] / "examples" / "kochi-example"
QUIET = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a copy of the package into a folder."""
    copy, target = tmp_path / "example", tmp_path / "site-packages"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    pip = [sys.executable, "-m", "pip", "install", *QUIET, "--target", target, copy]
    subprocess.run(pip, check=True, capture_output=True)
    monkeypatch.syspath_prepend(target)
    importlib.invalidate_caches()
    yield
    for name in [name for name in sys.modules if name.startswith("kochi_example")]:
        del sys.modules[name]


@pytest.mark.usefixtures("installed", "shapes_unchecked")
def test_the_example_is_found_by_its_names(kochi, tmp_path):
    listed = kochi("mechanisms")
    assert "  distance           The nearer a key, the higher it scores" in listed.out
    attention = build({"kind": "distance", "scale": 9.0}, query_size=2, memory_size=2)
    memory = torch.tensor([[[0.0, 0.0], [1.0, 1.0]]])
    found = attention(memory, attention.project(memory), need_alignment=True).alignment
    torch.testing.assert_close(found, torch.eye(2)[None, None].squeeze(0), atol=1e-6, rtol=0.0)
    assert str(SCORES.choose("distance").package) == "kochi-example 0.1"

    encoder = ENCODERS.choose({"kind": "stacked_frames", "stack": 3, "size": 5}).build(
        source=FrameInput(7, 0.01, 0.0125)
    )
    frames, mask = torch.randn(2, 8, 7), torch.ones(2, 8, dtype=torch.bool)
    mask[1, 5:] = False
    memory = encoder(frames, mask)
    assert memory.values.shape == (2, 3, 5) and memory.mask.sum(1).tolist() == [3, 2]
    alone = encoder(frames[1:, :5], mask[1:, :5])
    torch.testing.assert_close(alone.values[0], memory.values[1, :2])

    run_file = write_features(tmp_path)
    changes = ["training.max_steps=2", "model.encoder=stacked_frames", "training.metric=loss"]
    options = [word for change in changes for word in ("--set", change)]
    done = kochi("train", run_file, *options)
    assert done.code == 0, done.err
    model = (run_file.parent / "model", run_file.parent / "dev.tsv", run_file.parent / "all.npz")
    refused = kochi("evaluate", *model)
    assert refused.code == 2 and "kochi-example 0.1, which is not trusted" in refused.err
    scored = kochi("evaluate", *model, "--trust", "kochi-example")
    assert scored.code == 0 and "wer" in scored.out


WORDS = {0: "flat", 1: "up", 2: "down", 3: "up down"}


def write_series(folder, count=60):
    draw = random.Random(1)
    for split in ("train", "dev"):
        rows = ["series\ttext"]
        for _ in range(count):
            kind, start = draw.randrange(4), draw.uniform(-1.0, 1.0)
            slopes = {0: [0.0] * 8, 1: [0.5] * 8, 2: [-0.5] * 8, 3: [0.5] * 4 + [-0.5] * 4}[kind]
            values = accumulate(slopes, initial=start)
            rows.append(" ".join(f"{value:.2f}" for value in values) + f"\t{WORDS[kind]}")
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n")
    run_file = folder / "run.toml"
    run_file.write_text(RUN)
    return run_file


RUN = """
[data]
kind = "series"
train = "train.tsv"
dev = "dev.tsv"
target = { tokens = "whitespace" }

[model]
kind = "rnn"
hidden_size = 32
embedding_size = 16
encoder = { kind = "pyramid", layers = 2, halvings = 1, hidden_size = 16 }

[training]
max_steps = 150
epochs = 100
learning_rate = 1e-2
batch_tokens = 512
metric = "exact"
label_smoothing = 0.0
schedule = { kind = "cosine", warmup_steps = 5 }
"""


@pytest.mark.usefixtures("installed", "shapes_unchecked")
def test_a_fifth_modality_trains_evaluates_predicts_and_shows(kochi, tmp_path):
    run_file = write_series(tmp_path)
    done = kochi("train", run_file)
    assert done.code == 0, done.err
    assert "--trust kochi-example" in done.out + done.err

    model, trust = tmp_path / "model", ("--trust", "kochi-example")
    refused = kochi("evaluate", model, "dev")
    assert refused.code == 2 and "kochi-example 0.1, which is not trusted" in refused.err
    scored = kochi("evaluate", model, tmp_path / "dev.tsv", "--json", *trust)
    assert json.loads(scored.out)["scores"]["exact"]["value"] > 80.0

    series = "0.0 0.5 1.0 1.5 1.0 0.5 0.0"
    answers = kochi("predict", model, *trust, stdin=f"{series}\n1 x\n".encode())
    assert answers.out.splitlines() == ["up down", ""] and answers.code == 1
    assert "1 x: expected numbers" in answers.err
    asked = kochi("predict", model, "--json", *trust, stdin=f"{series}\n".encode())
    record = json.loads(asked.out)
    assert record["text"] == "up down" and len(record["alignment"]) == 2

    shown = kochi("show", model, series, "--out", tmp_path / "shown.svg", *trust)
    assert shown.code == 0, shown.err
    assert "1.5" in (tmp_path / "shown.svg").read_text()
    page = kochi("show", model, series, "--out", tmp_path / "shown.html", *trust)
    assert page.code == 0, page.err

    predictor = load(model, trust=["kochi-example"])
    assert predictor.predict([[0.0, 0.5, 1.0, 1.5, 2.0, 2.5]])[0].text == "up"


@pytest.mark.usefixtures("installed")
def test_the_table_of_a_fifth_modality_is_checked_and_described(kochi, tmp_path):
    run_file = write_series(tmp_path)
    wrong = kochi("train", run_file, "--set", "data.series_colum=x")
    assert wrong.code == 2 and "unknown key data.series_colum" in wrong.err
    assert "did you mean series_column?" in wrong.err
    by_path = kochi("train", run_file, "--set", "data.kind=kochi_example.series:Serious")
    assert (
        by_path.code == 2 and "data.kind: " in by_path.err and "cannot be imported" in by_path.err
    )

    copied = kochi("train", run_file, "--set", "search.unknown=copy")
    assert copied.code == 2 and "needs sources of text" in copied.err

    schema = json.loads(kochi("schema").out)
    table = next(one for one in schema["$defs"].values() if "series_column" in one["properties"])
    assert table["properties"]["kind"]["const"] == "series"
