"""Remarks to the user, on stderr so that they never mix with answers."""

import sys
from collections.abc import Sequence
from pathlib import Path


def warn(message: str) -> None:
    """Write one line of warning."""
    print(f"kochi: warning: {message}", file=sys.stderr)


def note(message: str) -> None:
    """Write one line that says what was chosen."""
    print(f"kochi: {message}", file=sys.stderr)


def warn_unknown(parts: Sequence[str], what: str, where: str) -> None:
    """Name what the model has never seen; it reads them as the unknown token."""
    names = ", ".join(repr(part) for part in parts)
    warn(f"{where}: {what} never seen in training: {names}")


def short(path: Path) -> str:
    """Return a path as one would type it here: relative if it lies below this folder."""
    path, here = path.resolve(), Path.cwd().resolve()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def warn_remarks(remarks: Sequence[str], told: int = 0) -> int:
    """Print what a reader remarked on sources that may not hold what was meant.

    Args:
        remarks: All of them.
        told: How many were printed before.

    Returns:
        How many are printed now.
    """
    for remark in remarks[told:]:
        warn(remark)
    return len(remarks)


def one_line(text: str) -> str:
    r"""Put an answer on one line of a file: each line break in it becomes a space.

    >>> one_line("a\r\nb\u2028c")
    'a b c'
    """
    return " ".join(text.splitlines())
