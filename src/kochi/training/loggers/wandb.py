"""Weights & Biases."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typing_extensions import override

from kochi.training.loggers.base import ServiceLogger


class WeightsAndBiases(ServiceLogger):
    """Weights & Biases (the package wandb).

    Args:
        project: Name of the project for the runs.
        run_name: Name of this run; None lets the service choose it.
        offline: Store everything on this machine, to be sent later with ``wandb sync``.
    """

    name = "wandb"
    package = "wandb"

    def __init__(
        self, *, project: str = "kochi", run_name: str | None = None, offline: bool = False
    ) -> None:
        super().__init__()
        self._options: dict[str, Any] = {"project": project, "name": run_name}
        if offline:
            self._options["mode"] = "offline"
        self._run: Any = None

    @override
    def start(self, folder: Path, known: str | None) -> str:
        import wandb  # pyright: ignore[reportMissingImports]

        self._run = wandb.init(dir=str(folder), id=known, resume="allow", **self._options)
        self._run.define_metric("*", step_metric="step")  # after a resume, steps are repeated
        return self._run.id

    @override
    def describe(self, settings: Mapping[str, Any]) -> None:
        self._run.config.update(dict(settings), allow_val_change=True)

    @override
    def send(self, values: Mapping[str, float], step: int) -> None:
        self._run.log({**values, "step": step})

    @override
    def finish(self) -> None:
        self._run.finish()
