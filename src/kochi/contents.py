"""Files that are held in memory."""

import io
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, eq=False)
class Contents:
    """The bytes of a file, with the reading methods of a `Path`.

    Attributes:
        content: The bytes.
        name: Name of the file in messages.
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
        """Return True, since the bytes exist."""
        return True

    def __str__(self) -> str:
        return self.name


File = Path | Contents
