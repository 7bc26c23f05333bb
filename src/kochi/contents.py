"""Files that are held in memory."""

import io
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, eq=False)
class Contents:
    """The bytes of a file, opened and read as a `Path` is.

    Attributes:
        content: The bytes.
        name: What messages call the file.
    """

    content: bytes
    name: str = "bytes"

    def open(self, mode: str = "rb") -> io.BytesIO:
        """Return a new stream of the bytes."""
        return io.BytesIO(self.content)

    def read_bytes(self) -> bytes:
        """Return the bytes."""
        return self.content

    def is_file(self) -> bool:
        """Return True: the bytes are there."""
        return True

    def __str__(self) -> str:
        return self.name


File = Path | Contents
