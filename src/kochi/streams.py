"""Standard streams that the caller closed, as ``kochi train run.toml <&- >&- 2>&-`` does.

Python then has no ``sys.stdin`` (``stdout``, ``stderr``), and the next file that is opened reuses
their descriptor, so that the output of a library would end up in that file.
"""

import errno
import os
import sys

_NAMES = ("stdin", "stdout", "stderr")


def open_closed_streams() -> None:
    """Open a placeholder for each closed standard stream.

    Reading from standard input and writing to standard output then fail (with EBADF), so that lost
    output is not mistaken for success; output to standard error is dropped.
    """
    for number, name in enumerate(_NAMES):
        try:
            os.fstat(number)
        except OSError:
            flags = (os.O_WRONLY, os.O_RDONLY, os.O_RDWR)[number]
            _open_as(number, flags)
            mode = "r" if number == 0 else "w"
            stream = open(number, mode, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def is_closed(error: OSError) -> bool:
    """Return whether an error comes from a stream that `open_closed_streams` opened."""
    return error.errno == errno.EBADF and error.filename is None


def forget_output() -> None:
    """Redirect standard output to the null device, so that no later flush fails."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_as(number: int, flags: int) -> None:
    found = os.open(os.devnull, flags)
    if found != number:
        os.dup2(found, number)
        os.close(found)
