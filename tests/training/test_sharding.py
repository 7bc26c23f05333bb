"""Training whose model is sharded over processes (FSDP): curve and model of one process."""

import csv
from collections.abc import Callable
from typing import Any

import pytest

from kochi import config
from kochi.training.checkpoints import read_checkpoint
from kochi.training.layout import Layout
from kochi.training.progress import Progress
from kochi.training.run import train

MakeRun = Callable[..., config.Run]
SILENT = Progress(silent=True)
MODELS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rnn": {"kind": "rnn", "attention": {"score": "additive"}},
    "transformer": {
        "kind": "transformer",
        "embedding_size": None,
        "hidden_size": None,
        "size": 8,
        "feedforward_size": 11,
        "attention": {"num_heads": 2},
        "self_attention": {"num_heads": 2},
    },
}


class Lines(Progress):
    """Keep every line."""

    def __init__(self) -> None:
        super().__init__(silent=True)
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def _rows(run: config.Run, name: str) -> list[dict[str, str]]:
    with (run.output / "training" / name).open() as file:
        return list(csv.DictReader(file))


def _options(model: str, **more: Any) -> dict[str, Any]:
    table = {"dropout": 0.0, **MODELS[model]}
    common = {"accumulate": 2, "epochs": 9, "max_steps": 10, "evaluate_every": 5}
    return {"model": table, **common, "metric": "per", **more}


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_the_curve_is_that_of_one_process(make_run: MakeRun, model: str) -> None:
    one = make_run("one", **_options(model))
    two = make_run("two", **_options(model, devices=2, strategy="fsdp"))
    for run in (one, two):
        train(run, progress=SILENT, log_every=1)
    for name, columns in {
        "train.csv": ("tokens", "loss", "nll", "gradient_norm"),
        "evaluations.csv": ("loss", "metric"),
    }.items():
        rows = [_rows(run, name) for run in (one, two)]
        assert len(rows[0]) == len(rows[1]) > 1
        for first, second in zip(*rows, strict=True):
            for column in columns:
                assert float(second[column]) == pytest.approx(float(first[column]), rel=2e-5)


@pytest.mark.slow
def test_a_checkpoint_is_whole_and_goes_on_in_any_number_of_processes(make_run: MakeRun) -> None:
    sharded = {"devices": 2, "strategy": "fsdp"}
    options = _options("rnn")
    whole = make_run("whole", **options)
    train(whole, progress=SILENT, log_every=1)
    begun = options | {"max_steps": 4}
    for name, first, then in (("a", sharded, sharded), ("b", sharded, {}), ("c", {}, sharded)):
        train(make_run(name, **begun, **first), progress=SILENT, log_every=1)
        run = make_run(name, **options, **then)
        train(run, resume=True, progress=SILENT, log_every=1)
        rows = [_rows(one, "train.csv") for one in (whole, run)]
        assert [row["step"] for row in rows[1]] == [row["step"] for row in rows[0]]
        for expected, found in zip(*rows, strict=True):
            assert float(found["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-4)
    shapes = []
    for run in (whole, make_run("a")):
        saved = read_checkpoint(Layout(run.output).checkpoint)
        moments = [one["exp_avg"].shape for one in saved["optimizer"]["state"].values()]
        shapes.append((moments, {k: v.shape for k, v in saved["objective"].items()}))
    assert shapes[0] == shapes[1]


def test_one_process_says_that_nothing_is_sharded(make_run: MakeRun) -> None:
    progress = Lines()
    train(make_run(max_steps=1, strategy="fsdp"), progress=progress)
    assert "training.strategy = 'fsdp' has no effect: there is one process" in progress.lines
