"""Ctrl-C and SIGTERM: finish the step, save, then stop."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from kochi.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Catch the first signal and remember it, so that the run can stop where its state is whole.

    Outside of `deferred` parts, and at the second signal, `Interrupted` is raised at once. Outside
    of the main thread nothing is caught.
    """

    def __init__(self) -> None:
        self.requested = False
        self.deferred = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in SIGNALS}
            self.install()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def install(self) -> None:
        """Take the signals (again: Lightning puts handlers of its own in place)."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested or not self.deferred:
            raise Interrupted("stopped at once; go on from the last checkpoint with --resume")
        self.requested = True
