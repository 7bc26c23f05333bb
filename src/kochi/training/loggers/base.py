"""The interface of loggers of tracking services."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kochi.errors import UserError


class RunLogger(ABC):
    """Sends the curves of a run to a service."""

    @abstractmethod
    def open(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Start, or continue after a resume.

        Args:
            folder: A folder for the logger's own files only.
            settings: The run file, as plain data.

        Raises:
            UserError: A requirement of the logger is missing.
        """

    @abstractmethod
    def log(self, values: Mapping[str, float], step: int) -> None:
        """Send values, with names such as "train/loss"."""

    @abstractmethod
    def close(self) -> None:
        """Send pending values."""


class LightningLogger(RunLogger):
    """A logger of Lightning, as used by Fabric."""

    name: str  # in a run file
    package: str  # the package that must be installed for it

    def __init__(self) -> None:
        self._logger: Any = None

    @abstractmethod
    def make(self, folder: Path) -> Any:
        """Return Lightning's logger; its package may be missing."""

    def open(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Start the logger; see `RunLogger.open`."""
        try:
            self._logger = self.make(folder)
            self._sure(lambda: self._logger.experiment)
        except ModuleNotFoundError:
            raise UserError(
                f"training.loggers: {self.name!r} needs the package {self.package}; install it "
                f"with: pip install {self.package}"
            ) from None
        self._sure(lambda: self._logger.log_hyperparams(dict(settings)))

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Send values."""
        self._sure(lambda: self._logger.log_metrics(dict(values), step))

    def close(self) -> None:
        """Send pending values."""
        if self._logger is not None:
            self._sure(lambda: self._logger.finalize("success"))

    def _sure(self, act: Callable[[], Any]) -> None:
        """Call the service; an error is reduced to one line."""
        try:
            act()
        except (UserError, ModuleNotFoundError):
            raise
        except Exception as error:  # a service may raise anything
            reason = " ".join(str(error).split())
            raise UserError(
                f"training.loggers: {self.name!r}: {type(error).__name__}: {reason}; fix this, or "
                "take it out of training.loggers and continue with --resume"
            ) from error
