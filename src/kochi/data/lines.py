"""Lines of text files, plain or gzip, in any encoding.

Only a line feed ends a line (a carriage return before it belongs to the ending): other Unicode
line separators are text. A byte-order mark at the start of a file decides its encoding and is
dropped. Everything wrong with the input is one `UserError` that names file and line.
"""

import codecs
import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

from kochi.errors import UserError
from kochi.reading import open_file, parsing

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
GZIP_MAGIC = b"\x1f\x8b"
LONGEST_LINE = 1 << 20  # bytes or characters; tokens take about a hundred times as much memory
LONGEST_DOCUMENT = 1 << 28  # of a JSON file with a single line: COCO's captions have 91 MB
SHOWN = 100  # bytes of a line that is not text
MARKS = {  # the longer ones first: the one of UTF-32 begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


Bad = TypeVar("Bad")


class LineError(ValueError):
    """The reason why a line is not text.

    Attributes:
        line: Its first bytes.
    """

    def __init__(self, line: bytes, reason: str) -> None:
        super().__init__(reason)
        self.line = line[:SHOWN]


def lines(
    path: Path,
    encoding: str = "utf-8",
    bad: Callable[[LineError], Bad] | None = None,
    longest: int = LONGEST_LINE,
    pipes: bool = False,
) -> Iterator[str | Bad]:
    r"""Stream the lines of a plain or gzip text file, without their endings.

    Gzip is recognised by its first bytes, not by the name.

    Args:
        path: The file.
        encoding: Any text encoding of Python; a byte-order mark in the file takes precedence.
        bad: As in `decode_lines`, for UTF-8.
        longest: As in `decode_lines`.
        pipes: Whether the file may be a pipe such as /dev/stdin, which is read once.

    Raises:
        UserError: The file is missing, unreadable or broken gzip, or a line is too long, cannot be
            decoded or has a NUL character.
    """
    with closing(open_bytes(path, pipes)) as stream:
        with parsing(str(path), "text"):
            first = stream.peek(4)[:4]
        encoding = marked_encoding(first) or encoding
        if codecs.lookup(encoding).name == "utf-8":
            yield from decode_lines(_raw_lines(stream, longest), str(path), bad, longest)
        else:
            yield from _decode_text(stream, str(path), encoding, longest)


def marked_encoding(first: bytes) -> str | None:
    r"""Return the encoding indicated by a byte-order mark at the start of a file.

    >>> marked_encoding(b"\xff\xfeh\x00")
    'utf-16'
    """
    return next((name for mark, name in MARKS.items() if first.startswith(mark)), None)


def decode_lines(
    stream: Iterable[bytes],
    name: str,
    bad: Callable[[LineError], Bad] | None = None,
    longest: int = LONGEST_LINE,
) -> Iterator[str | Bad]:
    r"""Decode lines of bytes, such as those of ``sys.stdin.buffer``.

    Args:
        stream: Lines of bytes with their endings; only ``\n`` and ``\r\n`` are removed.
        name: The name of the input in error messages.
        bad: Returns a replacement for a line that is not text. Default: such a line is an error.
        longest: Maximum number of bytes per line.

    Raises:
        UserError: The stream breaks off (gzip), or a line is too long, is not UTF-8 or has a NUL
            byte.

    Example:
        >>> list(decode_lines([b"\xef\xbb\xbfa\r\n", "b\u2028c\n".encode()], "x"))
        ['a', 'b\u2028c']
    """
    number = 0
    with parsing(lambda: f"{name}: after line {number}", "text"):
        for number, raw in enumerate(stream, 1):
            if number == 1:
                raw = raw.removeprefix(BYTE_ORDER_MARK)
            try:
                line = _decode(raw, longest)
            except LineError as error:
                if bad is None:
                    raise UserError(f"{name}:{number}: {error}") from None
                yield bad(error)
            else:
                yield line


def _raw_lines(stream: io.BufferedReader, longest: int) -> Iterator[bytes]:
    """Yield lines of bytes; a line that is too long is cut just above the limit."""
    most = longest + 2  # with a carriage return and a line feed
    for raw in iter(partial(stream.readline, most + 1), b""):
        yield raw
        while len(raw) > most and not raw.endswith(b"\n"):
            raw = stream.readline(most + 1)


def _decode_text(
    stream: io.BufferedReader, name: str, encoding: str, longest: int
) -> Iterator[str]:
    """Decode lines in an encoding whose line feed may be more than one byte."""
    number = 0
    remedy = "name the encoding of the file (data.encoding, or kochi init --encoding)"
    with (
        parsing(lambda: f"{name}: after line {number}", f"text in {encoding}", remedy),
        io.TextIOWrapper(stream, encoding, newline="\n") as wrapped,
    ):
        for number, line in enumerate(iter(partial(wrapped.readline, longest + 3), ""), 1):
            text = line.removeprefix("\ufeff") if number == 1 else line
            text = text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")
            if len(text) > longest:
                raise UserError(f"{name}:{number}: {_too_long(longest, 'characters')}")
            if "\0" in text:
                raise UserError(
                    f"{name}:{number}: a NUL character; expected text in {encoding}: name "
                    "another encoding (data.encoding, or kochi init --encoding), or remove it"
                )
            yield text


def _too_long(longest: int, unit: str) -> str:
    return f"a line of more than {longest:,} {unit}; expected lines of text; split it"


def _decode(raw: bytes, longest: int) -> str:
    if raw.endswith(b"\n"):
        raw = raw[:-2] if raw.endswith(b"\r\n") else raw[:-1]
    if len(raw) > longest:
        raise LineError(raw, _too_long(longest, "bytes"))
    if b"\0" in raw:
        byte = raw.index(b"\0") + 1
        raise LineError(
            raw,
            f"a NUL byte at byte {byte} of the line; expected text: remove it, or convert the file "
            "(it may be UTF-16) to UTF-8",
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LineError(
            raw,
            f"not UTF-8: byte 0x{raw[error.start]:02x} at byte {error.start + 1} of the line; "
            "convert the file to UTF-8, or name its encoding (data.encoding, or kochi init "
            "--encoding)",
        ) from None


def open_bytes(path: Path, pipes: bool = False) -> io.BufferedReader:
    """Open a plain or gzip file; reading decompresses it.

    Args:
        path: The file.
        pipes: As in `lines`.

    Raises:
        UserError: The file is missing or cannot be opened.
    """
    missing = "no such file; check the path in the run file"
    raw = open_file(path, "a file of text", missing=missing, pipes=pipes)
    assert isinstance(raw, io.BufferedReader)
    if raw.peek(2)[:2] == GZIP_MAGIC:
        return io.BufferedReader(_Gzip(raw), 1 << 16)
    if path.suffix == ".gz" and raw.peek(1):
        raw.close()
        raise UserError(
            f"{path}: not a gzip file although its name ends in .gz; rename or compress it"
        )
    return raw


class _Gzip(gzip.GzipFile):
    """A gzip stream that also closes the underlying file."""

    def __init__(self, raw: io.BufferedReader):
        super().__init__(fileobj=raw)
        self._raw = raw

    def close(self) -> None:
        super().close()
        self._raw.close()
