"""Weights & Biases."""

from pathlib import Path
from typing import Any

from kochi.training.loggers.base import LightningLogger


class WeightsAndBiases(LightningLogger):
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
        self._options: dict[str, Any] = {
            "project": project, "name": run_name, "offline": offline
        }  # fmt: skip

    def make(self, folder: Path) -> Any:
        """Return Lightning's logger."""
        from lightning.pytorch.loggers import WandbLogger

        return WandbLogger(save_dir=str(folder), **self._options)
