"""The package in ``examples/``: installed as its users would, it adds a score and an encoder."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

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
