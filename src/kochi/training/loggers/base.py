"""What every logger of a service does."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kochi.errors import UserError


class RunLogger(ABC):
    """Sends the curves of a run somewhere."""

    @abstractmethod
    def open(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Begin, or go on after a resume.

        Args:
            folder: Where files of its own may lie; nobody else writes there.
            settings: The run file, as plain data.

        Raises:
            UserError: What it needs is not there.
        """

    @abstractmethod
    def log(self, values: Mapping[str, float], step: int) -> None:
        """Send values, by names such as "train/loss"."""

    @abstractmethod
    def close(self) -> None:
        """Send what is left."""


class LightningLogger(RunLogger):
    """One of Lightning's loggers, which Fabric uses as well."""

    name: str  # in a run file
    package: str  # what is to be installed for it

    def __init__(self) -> None:
        self._logger: Any = None

    @abstractmethod
    def make(self, folder: Path) -> Any:
        """Return Lightning's logger; its package may be missing."""

    def open(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Begin; see `RunLogger.open`."""
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
        """Send what is left."""
        if self._logger is not None:
            self._sure(lambda: self._logger.finalize("success"))

    def _sure(self, act: Callable[[], Any]) -> None:
        """Do something with the service; what goes wrong there is one line."""
        try:
            act()
        except (UserError, ModuleNotFoundError):
            raise
        except Exception as error:  # of a service: whatever it raises
            reason = " ".join(str(error).split())
            raise UserError(
                f"training.loggers: {self.name!r}: {type(error).__name__}: {reason}; fix this, or "
                "take it out of training.loggers and continue with --resume"
            ) from error
