"""The interface of loggers of tracking services."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from kochi.errors import UserError

Result = TypeVar("Result")


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


class ServiceLogger(RunLogger):
    """A logger of a service with a Python package; any error becomes one line.

    A resumed run continues the record of the service, whose name is kept in the logger's folder.
    """

    name: str  # in a run file
    package: str  # the package that must be installed for it

    @abstractmethod
    def start(self, folder: Path, known: str | None) -> str:
        """Start a record, or continue one; return its name at the service.

        Args:
            folder: A folder for the logger's own files only.
            known: The name that `start` returned before a resume; None for a new record.
        """

    @abstractmethod
    def describe(self, settings: Mapping[str, Any]) -> None:
        """Send the run file, as plain data."""

    @abstractmethod
    def send(self, values: Mapping[str, float], step: int) -> None:
        """Send values."""

    @abstractmethod
    def finish(self) -> None:
        """Send pending values."""

    def __init__(self) -> None:
        self._started = False

    def open(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Start the logger; see `RunLogger.open`."""
        file = folder / f"{self.name}.txt"
        known = file.read_text("utf-8") if file.exists() else None
        try:
            name = self._sure(lambda: self.start(folder, known))
        except ModuleNotFoundError:
            raise UserError(
                f"training.loggers: {self.name!r} needs the package {self.package}; install it "
                f"with: pip install {self.package}"
            ) from None
        self._started = True
        file.write_text(name, "utf-8")
        if known is None:
            self._sure(lambda: self.describe(settings))

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Send values."""
        self._sure(lambda: self.send(values, step))

    def close(self) -> None:
        """Send pending values."""
        if self._started:
            self._sure(self.finish)

    def _sure(self, act: Callable[[], Result]) -> Result:
        """Call the service; an error is reduced to one line."""
        try:
            return act()
        except (UserError, ModuleNotFoundError):
            raise
        except Exception as error:  # a service may raise anything
            reason = " ".join(str(error).split())
            raise UserError(
                f"training.loggers: {self.name!r}: {type(error).__name__}: {reason}; fix this, or "
                "take it out of training.loggers and continue with --resume"
            ) from error
