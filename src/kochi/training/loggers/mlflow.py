"""MLflow."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from typing_extensions import override

from kochi.training.loggers.base import ServiceLogger

LONGEST = 500  # characters of a parameter that servers accept


class MLflow(ServiceLogger):
    """MLflow (the package mlflow; for a server of your own mlflow-skinny is enough).

    Args:
        experiment: Name of the experiment for the runs.
        tracking_uri: The server; None stores everything in a database in the run's folder:
            ``mlflow ui --backend-store-uri sqlite:///MODEL/training/loggers/mlflow.db``.
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
        self._client: Any = None
        self._run = ""

    @override
    def start(self, folder: Path, known: str | None) -> str:
        from mlflow.tracking import MlflowClient  # pyright: ignore[reportMissingImports]

        uri = self._uri or f"sqlite:///{(folder / 'mlflow.db').resolve()}"
        self._client = MlflowClient(tracking_uri=uri)
        if known is not None:
            self._client.update_run(known, status="RUNNING")
            self._run = known
            return known
        found = self._client.get_experiment_by_name(self._experiment)
        if found is None:
            number = self._client.create_experiment(self._experiment)
        else:
            number = found.experiment_id
        self._run = self._client.create_run(number, run_name=self._run_name).info.run_id
        return self._run

    @override
    def describe(self, settings: Mapping[str, Any]) -> None:
        for key, value in _flat(settings):
            self._client.log_param(self._run, key, str(value)[:LONGEST])

    @override
    def send(self, values: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        for key, value in values.items():
            self._client.log_metric(self._run, key, value, now, step)

    @override
    def finish(self) -> None:
        self._client.set_terminated(self._run)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested tables, with dotted names."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
