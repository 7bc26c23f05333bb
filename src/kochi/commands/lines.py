"""Lines to answer: from a file, or from a stream as they arrive."""

import io
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from kochi.errors import UserError

PIECE = 1 << 16


class Arriving:
    r"""The lines of a stream of bytes, knowing which are there without waiting.

    Args:
        stream: A buffered stream, such as ``sys.stdin.buffer``.

    >>> stream = Arriving(io.BytesIO(b"a\nb\nc"))
    >>> next(stream), stream.ready, list(stream)
    (b'a\n', True, [b'b\n', b'c'])
    """

    def __init__(self, stream: io.BufferedReader | io.BytesIO) -> None:
        self._stream = stream
        self._lines: deque[bytes] = deque()
        self._rest: list[bytes] = []

    @property
    def ready(self) -> bool:
        """Whether a whole line is there already."""
        return bool(self._lines)

    def __iter__(self) -> "Arriving":
        return self

    def __next__(self) -> bytes:
        while not self._lines:
            piece = self._stream.read1(PIECE)  # waits for the first byte only
            if not piece:
                return self._last()
            *whole, rest = piece.split(b"\n")
            if whole:
                whole[0] = b"".join([*self._rest, whole[0]])
                self._lines.extend(line + b"\n" for line in whole)
                self._rest = []
            self._rest.append(rest)
        return self._lines.popleft()

    def _last(self) -> bytes:
        last, self._rest = b"".join(self._rest), []
        if not last:
            raise StopIteration
        return last


def chunks(file: Path, stream: io.BufferedReader | io.BytesIO, most: int) -> Iterator[list[str]]:
    """Give the lines of a file, or of ``stream`` if the file is "-", in lists.

    A list holds what is there already, at least one line and at most ``most``. The lines before a
    bad one are given out before the error is raised.

    Raises:
        UserError: There are no lines, or one is empty or is not text.
    """
    from kochi.data.lines import decode_lines, lines

    arriving = Arriving(stream) if str(file) == "-" else None
    if arriving is None:
        name, texts = str(file), lines(file)
    else:
        name, texts = "standard input", decode_lines(arriving, "standard input")
    chunk: list[str] = []
    number = 0
    try:
        for number, text in enumerate(texts, 1):
            if not text or text.isspace():
                raise UserError(f"{name}:{number}: empty line; nothing to read there: remove it")
            chunk.append(text)
            if len(chunk) >= most or (arriving is not None and not arriving.ready):
                yield chunk
                chunk = []
    except UserError:
        if chunk:
            yield chunk
        raise
    if not number:
        raise UserError(f"{name}: is empty; expected one source a line")
    if chunk:
        yield chunk
