"""Services that curves are sent to."""

import csv
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from kochi import config, load
from kochi.errors import UserError
from kochi.training.checkpoints import newest
from kochi.training.layout import Layout
from kochi.training.loggers import LOGGERS, RunLogger
from kochi.training.progress import Progress
from kochi.training.run import train

MakeRun = Callable[..., config.Run]
SILENT = Progress(silent=True)


class Recorder(RunLogger):
    """Keeps what it is told."""

    opened: ClassVar[list["Recorder"]] = []

    def __init__(self, *, label: str = "") -> None:
        self.label = label
        self.told: list[tuple[int, dict[str, float]]] = []
        self.closed = False

    def open(self, folder: Path, settings: Mapping[str, Any]) -> None:
        assert folder.is_dir() and settings["training"]["max_steps"] == 4
        assert str(Path.cwd().anchor) not in {text[:1] for text in _texts(settings)}
        self.opened.append(self)

    def log(self, values: Mapping[str, float], step: int) -> None:
        self.told.append((step, dict(values)))

    def close(self) -> None:
        self.closed = True


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    monkeypatch.setitem(LOGGERS.builtin, "recorder", Recorder)
    monkeypatch.setattr(Recorder, "opened", [])
    return Recorder.opened


def test_a_logger_gets_what_the_files_get(make_run: MakeRun, recorded: list[Recorder]) -> None:
    run = make_run(
        max_steps=4, evaluate_every=2, metric="per", loggers=[{"kind": "recorder", "label": "mine"}]
    )
    train(run, progress=SILENT, log_every=2)
    [logger] = Recorder.opened
    assert logger.label == "mine" and logger.closed
    with (run.output / "training" / "train.csv").open() as file:
        rows = {int(row["step"]): float(row["loss"]) for row in csv.DictReader(file)}
    told = {step: values["train/loss"] for step, values in logger.told if "train/loss" in values}
    assert told == pytest.approx(rows, rel=1e-6) and set(rows) == {2, 4}
    assert [step for step, values in logger.told if "dev/loss" in values] == [2, 4]


def test_a_model_needs_no_logger(
    make_run: MakeRun, recorded: list[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Lightning's #5180: whoever loads a model has no use for where its curves were sent."""
    logger = {"kind": "recorder", "label": "user:password@server"}
    folder = train(make_run(max_steps=4, loggers=[logger]), progress=SILENT)
    monkeypatch.delitem(LOGGERS.builtin, "recorder")
    assert load(folder).predict(["a b"])[0].error is None
    for file in ("run.toml", "training/run.toml", "README.md", "manifest.json"):
        assert "password" not in (folder / file).read_text(encoding="utf-8")
    run = make_run(max_steps=4)
    train(run, resume=True, progress=SILENT)  # goes on without the logger


def test_a_package_that_is_not_there_is_one_line(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    run = make_run(max_steps=4, loggers="wandb")
    with pytest.raises(UserError, match=r"'wandb' needs the package wandb; .*pip install wandb"):
        train(run, progress=SILENT)


class Service:
    """What kochi calls of the package wandb, kept in lists."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at = fails_at
        self.started: list[dict[str, Any]] = []
        self.sent: list[dict[str, float]] = []
        self.config: dict[str, Any] = {}
        self.finished = 0
        self.id = "abc"

    def init(self, **options: Any) -> "Service":
        self.started.append(options)
        Path(options["dir"], "wandb").mkdir(exist_ok=True)
        latest = Path(options["dir"], "wandb", "latest-run")
        latest.unlink(missing_ok=True)
        latest.symlink_to("run-abc")  # as the real one does
        return self

    def define_metric(self, name: str, step_metric: str) -> None:
        assert (name, step_metric) == ("*", "step")

    def log(self, values: dict[str, float]) -> None:
        if values["step"] == self.fails_at:
            raise ConnectionError("no\nroute")
        self.sent.append(values)

    def finish(self) -> None:
        self.finished += 1


def test_a_resumed_run_goes_on_with_its_record(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record, and no step is dropped because it came before (allenai/tango #152).

    wandb drops a ``step`` argument that is below the last one; the fake takes no such argument.
    """
    service = Service()
    monkeypatch.setitem(sys.modules, "wandb", service)
    loggers = {"kind": "wandb", "project": "mine", "offline": True}
    train(make_run(max_steps=4, evaluate_every=2, loggers=loggers), progress=SILENT)
    train(make_run(max_steps=6, evaluate_every=2, loggers=loggers), resume=True, progress=SILENT)
    assert [one["id"] for one in service.started] == [None, "abc"]
    assert {(one["project"], one["mode"]) for one in service.started} == {("mine", "offline")}
    assert [one["step"] for one in service.sent if "dev/loss" in one] == [2, 4, 6]
    assert service.config["training"]["max_steps"] == 4
    assert service.finished == 2


class Client:
    """What kochi calls of MLflow's client, kept in lists."""

    def __init__(self, tracking_uri: str) -> None:
        assert tracking_uri == "https://tracking.example"

    params: ClassVar[dict[str, str]] = {}
    metrics: ClassVar[list[tuple[str, str, int]]] = []
    states: ClassVar[list[str]] = []

    def get_experiment_by_name(self, name: str) -> None:
        return None

    def create_experiment(self, name: str) -> str:
        return f"number of {name}"

    def create_run(self, experiment: str, run_name: str | None) -> SimpleNamespace:
        assert (experiment, run_name) == ("number of kochi", "first")
        self.states.append("created")
        return SimpleNamespace(info=SimpleNamespace(run_id="r1"))

    def update_run(self, run: str, status: str) -> None:
        self.states.append(f"{run} {status}")

    def log_param(self, run: str, key: str, value: str) -> None:
        self.params[key] = value

    def log_metric(self, run: str, key: str, value: float, timestamp: int, step: int) -> None:
        assert timestamp > 1_000 * 1_600_000_000  # milliseconds
        self.metrics.append((run, key, step))

    def set_terminated(self, run: str) -> None:
        self.states.append(f"{run} ended")


def test_mlflow_gets_settings_and_curves(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning's logger made a new run at each resume (its issue #6205)."""
    tracking = SimpleNamespace(MlflowClient=Client)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(tracking=tracking))
    monkeypatch.setitem(sys.modules, "mlflow.tracking", tracking)
    logger = {"kind": "mlflow", "tracking_uri": "https://tracking.example", "run_name": "first"}
    train(make_run(max_steps=2, evaluate_every=2, loggers=logger), progress=SILENT)
    train(make_run(max_steps=4, evaluate_every=2, loggers=logger), resume=True, progress=SILENT)
    assert Client.states == ["created", "r1 ended", "r1 RUNNING", "r1 ended"]
    assert [one[2] for one in Client.metrics if one[:2] == ("r1", "dev/loss")] == [2, 4]
    assert Client.params["training.max_steps"] == "2" and Client.params["model.kind"] == "plain"


def test_a_service_that_fails_is_one_line_and_the_run_goes_on_without(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", Service(fails_at=4))
    options: dict[str, Any] = {"max_steps": 6, "checkpoint_every": 2}
    with pytest.raises(UserError, match=r"'wandb': ConnectionError: no route; .*--resume"):
        train(make_run(loggers=["wandb"], **options), progress=SILENT, log_every=2)
    run = make_run(**options)
    assert newest(Layout(run.output)) is not None
    train(run, resume=True, progress=SILENT)
    assert (run.output / "model.safetensors").exists()


def test_an_unknown_logger_is_named(make_run: MakeRun) -> None:
    with pytest.raises(UserError, match=r"training.loggers: got 'wandbb'.*did you mean 'wandb'"):
        make_run(loggers=["wandbb"])
