"""Files with a checksum: the content, followed by one line with its SHA-256.

In a TOML file the line is a comment.
"""

import hashlib
import re
from pathlib import Path

from kochi.errors import UserError
from kochi.folder import write_atomic
from kochi.reading import read_file

_SEAL = re.compile(rb"\n# sha256 ([0-9a-f]{64})\n")
LARGEST = 1 << 40  # bytes
SEAL_BYTES = len(b"\n# sha256 ") + 64 + 1


class Damaged(UserError):
    """A file of the training folder is damaged."""


def seal(content: bytes | memoryview) -> bytes:
    """Return the checksum line for a content."""
    return b"\n# sha256 " + hashlib.sha256(content).hexdigest().encode() + b"\n"


def write_sealed(path: Path, content: bytes) -> None:
    """Write a content with its checksum, atomically.

    Raises:
        OSError: It could not be written; an older file is kept.
    """
    write_atomic(path, content + seal(content))


def read_sealed(path: Path) -> bytes:
    """Return the content of a sealed file, without the checksum.

    Raises:
        Damaged: The file is damaged, missing or cannot be read.
    """
    try:
        whole = read_file(path, "a file of the training", LARGEST)
    except UserError as error:
        raise Damaged(str(error)) from error
    content, line = whole[:-SEAL_BYTES], whole[-SEAL_BYTES:]
    if not _SEAL.fullmatch(line):
        raise Damaged(f"{path}: damaged or truncated ({len(whole)} bytes, no checksum at the end)")
    if seal(content) != line:
        raise Damaged(f"{path}: damaged (SHA-256 differs from when it was written)")
    return content


def is_sealed(path: Path) -> bool:
    """Return whether a file is intact, with its checksum."""
    try:
        read_sealed(path)
    except Damaged:
        return False
    return True
