"""Thread-safe suppression of warnings from other packages."""

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class Quiet:
    """Ignore warnings while at least one thread is inside its ``with`` block.

    `warnings.catch_warnings` restores a copy of all filters, so that two threads may leave each
    other's filters behind (https://github.com/python/cpython/issues/128384). This adds one filter
    and removes it again. Call the instance to enter a ``with`` block.

    Args:
        message: Regular expression that the start of the message matches.
        module: Regular expression that the start of the module's name matches.
    """

    def __init__(self, message: str = "", module: str = "") -> None:
        patterns = (re.compile(text, re.I) if text else None for text in (message, module))
        message_pattern, module_pattern = patterns
        self._entry = ("ignore", message_pattern, Warning, module_pattern, 0)
        self._lock = threading.Lock()
        self._count = 0
        self._filters = _filters()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Ignore the warnings until the block ends."""
        with self._lock:
            if not self._count:
                self._filters = _filters()
                self._filters.insert(0, self._entry)
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                if not self._count:
                    # Somebody else may have put a copy in its place meanwhile, or put it back.
                    for filters in (self._filters, _filters()):
                        if self._entry in filters:
                            filters.remove(self._entry)


def _filters() -> list[object]:
    return warnings.filters  # pyright: ignore[reportReturnType]
