"""A line break (or tab) in a target changes no score: every metric reads it as a space."""

import json
from pathlib import Path

import pytest

RUN = """
[data]
kind = "jsonl"
train = "rows.jsonl"
dev = "rows.jsonl"
source.tokens = "characters"
target.tokens = "characters"

[model]
kind = "rnn"
embedding_size = 12
hidden_size = 16
dropout = 0.0

[training]
max_steps = 100
batch_tokens = 200
learning_rate = 0.02
schedule = {{ kind = "constant", warmup_steps = 0 }}
metric = "{metric}"
evaluate_every = 100
"""
TEXTS = {"p": "a\nb", "q": "c\r\nd", "r": "e\tf", "s": "g  h\n"}
METRICS = ("exact", "cer", "wer", "per", "chrf")


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("breaks")
    rows = [json.dumps({"source": source, "target": text}) for source, text in TEXTS.items()]
    (folder / "rows.jsonl").write_text("\n".join(rows * 30) + "\n")
    (folder / "run.toml").write_text(RUN.format(metric="cer"))
    return folder / "run.toml"


@pytest.fixture(scope="module")
def trained(run_file: Path, kochi):
    """What training printed; the model has learned all rows by heart."""
    result = kochi("train", run_file)
    assert result.code == 0, result.err
    return result


def test_all_metrics_agree(kochi, run_file, trained, tmp_path):
    model, out = run_file.parent / "model", tmp_path / "answers.txt"
    options = [part for name in METRICS for part in ("--metric", name)]
    record = json.loads(kochi("evaluate", model, "dev", *options, "--json", "--out", out).out)
    values = {name: round(score["value"], 6) for name, score in record["scores"].items()}
    assert values == {"exact": 100.0, "cer": 0.0, "wer": 0.0, "per": 0.0, "chrf": 100.0}
    assert (record["rows"], record["pairs"]) == (120, 4)
    # One line a source, and scored as they stand there they are as good.
    assert len(out.read_text().splitlines()) == out.read_text().count("\n") == 4
    from kochi.metrics import evaluate

    scores = evaluate(METRICS, out.read_text().splitlines(), [[text] for text in TEXTS.values()])
    assert {name: round(score.value, 6) for name, score in scores.items()} == values


def test_so_does_the_dev_figure_of_training(trained):
    assert "greedy cer 0.00" in trained.err


def test_examples_stay_on_their_lines(trained, run_file):
    lines = trained.err.splitlines()
    targets = [line for line in lines if line.startswith("  target ")]
    assert targets == ["  target      c␍␊d", "  target      g  h␊"]
    rows = (run_file.parent / "model" / "training" / "examples.csv").read_text().splitlines()
    assert len(rows) == 1 + len(targets)
