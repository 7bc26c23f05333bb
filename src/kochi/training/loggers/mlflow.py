"""MLflow."""

from pathlib import Path
from typing import Any

from kochi.training.loggers.base import LightningLogger


class MLflow(LightningLogger):
    """MLflow (the package mlflow, or mlflow-skinny).

    Args:
        experiment: Name of the experiment for the runs.
        tracking_uri: The server; None stores everything in the run's folder.
        run_name: Name of this run; None lets MLflow choose it.
    """

    name = "mlflow"
    package = "mlflow"

    def __init__(
        self,
        *,
        experiment: str = "kochi",
        tracking_uri: str | None = None,
        run_name: str | None = None,
    ) -> None:
        super().__init__()
        self._experiment, self._uri, self._run_name = experiment, tracking_uri, run_name

    def make(self, folder: Path) -> Any:
        """Return Lightning's logger."""
        from lightning.pytorch.loggers import MLFlowLogger

        uri = self._uri or (folder / "mlruns").resolve().as_uri()
        return MLFlowLogger(self._experiment, run_name=self._run_name, tracking_uri=uri)
