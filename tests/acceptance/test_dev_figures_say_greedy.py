"""Dev figures of training are told apart from those of `kochi evaluate` with a beam."""

import json

import pytest


def test_wherever_a_dev_figure_stands(kochi, task):
    changes = ("training.max_steps=4", "training.evaluate_every=2")
    result = kochi("train", task, *(part for one in changes for part in ("--set", one)))
    assert result.code == 0, result.err
    figures = [line for line in result.err.splitlines() if " per " in line]
    assert len(figures) == 3  # two evaluations, and the end
    assert all("greedy per " in line for line in figures)
    model = task.parent / "model"
    dev = json.loads((model / "metrics.json").read_text())["dev"]
    assert dev["search"] == "greedy"
    assert f"- dev per (greedy): {dev['value']:.2f} %" in (model / "README.md").read_text()
    record = json.loads(kochi("evaluate", model, "dev", "--beam", "1", "--json").out)
    assert record["scores"]["per"]["value"] == pytest.approx(dev["value"])


def test_evaluate_says_how_it_searched(kochi, tiny):
    beam, greedy = kochi("evaluate", tiny, "dev"), kochi("evaluate", tiny, "dev", "--beam", "1")
    assert all(line.endswith("|search:beam-2") for line in beam.lines[1:])
    assert all(line.endswith("|search:greedy") for line in greedy.lines[1:])
    assert json.loads(kochi("evaluate", tiny, "dev", "--json").out)["beam"] == 2
