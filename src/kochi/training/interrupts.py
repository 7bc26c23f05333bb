"""Ctrl-C, SIGTERM and SIGHUP (closed terminal): finish the step, save, then stop."""

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from kochi.errors import Interrupted

SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []),  # not on Windows
)
GRACE_SECONDS = 10.0


class Interrupts:
    """Catch the first signal and record it, so that the run can stop in a consistent state.

    If ``deferred`` is not set, and at the second signal, `Interrupted` is raised at once; further
    signals are ignored for ``GRACE_SECONDS``, while the run shuts down. A SIGHUP that is ignored,
    as under ``nohup``, stays ignored. Outside of the main thread no signals are caught.

    Args:
        ignore: Ignore signals, as another process decides when to stop.

    Attributes:
        requested: Whether the run should stop.
        deferred: Whether the run checks ``requested`` itself.
    """

    def __init__(self, ignore: bool = False) -> None:
        self.requested = False
        self.deferred = False
        self._ignore = ignore
        self._raised_at = -GRACE_SECONDS
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            found = {number: signal.getsignal(number) for number in SIGNALS}
            self._before = {
                number: handler
                for number, handler in found.items()
                if number in (signal.SIGINT, signal.SIGTERM) or handler != signal.SIG_IGN
            }
            self.install()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            # The command has then received its Ctrl-C, and ends.
            done = isinstance(error, Interrupted) and getattr(handler, "only_once", False)
            signal.signal(number, signal.SIG_IGN if done else handler)

    def install(self) -> None:
        """Install the signal handlers."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN if self._ignore else self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._raised_at < GRACE_SECONDS:
            return
        if self.requested or not self.deferred:
            self._raised_at = now
            raise Interrupted("stopped at once; go on from the last checkpoint with --resume")
        self.requested = True
