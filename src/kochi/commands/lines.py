"""Lines of input, from a file or from a stream as they arrive."""

import io
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kochi.errors import UserError

if TYPE_CHECKING:
    from kochi.data.lines import LineError
    from kochi.data.readers.base import Unreadable

PIECE = 1 << 16
STANDARD_INPUT = "standard input"
Stream = io.BufferedReader | io.BytesIO


class Arriving:
    r"""Iterate over the lines of a byte stream; `ready` tells whether one can be had at once.

    Args:
        stream: A buffered stream, such as ``sys.stdin.buffer``.
        start: Bytes that were already read from it.
        longest: Longer lines are cut, at some point after this many bytes.

    >>> stream = Arriving(io.BytesIO(b"a\nb\nc"))
    >>> next(stream), stream.ready, list(stream)
    (b'a\n', True, [b'b\n', b'c'])
    """

    def __init__(self, stream: Stream, start: bytes = b"", longest: int = 1 << 20) -> None:
        self._stream = stream
        self._longest = longest
        self._lines: deque[bytes] = deque()
        self._rest: list[bytes] = []
        self._size = 0
        if start:
            self._split(start)

    @property
    def ready(self) -> bool:
        """Whether a whole line can be returned without waiting."""
        return bool(self._lines)

    def __iter__(self) -> "Arriving":
        return self

    def __next__(self) -> bytes:
        while not self._lines:
            piece = self._stream.read1(PIECE)  # blocks for the first byte only
            if not piece:
                return self._last()
            self._split(piece)
        return self._lines.popleft()

    def _split(self, piece: bytes) -> None:
        *whole, rest = piece.split(b"\n")
        if whole:
            whole[0] = b"".join([*self._rest, whole[0]])
            self._lines.extend(line + b"\n" for line in whole)
            self._rest, self._size = [], 0
        if self._size <= self._longest:  # the rest may be dropped: the line is too long anyway
            self._rest.append(rest)
            self._size += len(rest)

    def _last(self) -> bytes:
        last, self._rest = b"".join(self._rest), []
        if not last:
            raise StopIteration
        return last


def name_of(file: Path) -> str:
    """Return the name of an input file for messages."""
    return STANDARD_INPUT if str(file) == "-" else str(file)


def chunks(
    file: Path, stream: Stream, most: int, start: bytes = b""
) -> "Iterator[list[str | Unreadable]]":
    """Yield the lines of a file, or of ``stream`` if the file is "-", in lists.

    A list holds the lines that are available without waiting: at least one and at most ``most``. A
    line that cannot be decoded is `Unreadable`.

    Args:
        file: The file, or "-".
        stream: Standard input.
        most: Maximum number of lines in a list.
        start: Bytes that were already read from ``stream``.

    Raises:
        UserError: There are no lines, or the file cannot be read any further. The lines before
            the error are yielded first.
    """
    from kochi.data.lines import LONGEST_LINE, decode_lines, lines

    arriving = Arriving(stream, start, LONGEST_LINE) if str(file) == "-" else None
    if arriving is None:
        texts = lines(file, bad=_unreadable, pipes=True)
    else:
        texts = decode_lines(arriving, STANDARD_INPUT, _unreadable)
    chunk: list[str | Unreadable] = []
    empty = True
    try:
        for text in texts:
            empty = False
            chunk.append(text)
            if len(chunk) >= most or (arriving is not None and not arriving.ready):
                yield chunk
                chunk = []
    except UserError:
        if chunk:
            yield chunk
        raise
    if empty:
        raise UserError(f"{name_of(file)}: is empty; expected one source per line")
    if chunk:
        yield chunk


def _unreadable(error: "LineError") -> "Unreadable":
    from kochi.data.readers.base import Unreadable

    return Unreadable(error.line.decode("utf-8", "replace"), str(error))
