"""Sources, as the command line names them."""

import codecs
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kochi.commands.lines import PIECE, STANDARD_INPUT, Stream, chunks
from kochi.errors import UserError

if TYPE_CHECKING:
    from kochi.contents import File
    from kochi.data.readers.base import Unreadable

# The first bytes of files that a model may read: images, audio, arrays.
PICTURES = (b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")
SOUND = (b"RIFF", b"fLaC", b"OggS", b"FORM", b".snd", b"ID3")
ZIPS = (b"PK\x03\x04", b"PK\x05\x06")  # .npz files are zip archives; the second is an empty one
ARRAYS = (b"\x93NUMPY", *ZIPS)
MAGIC = (*PICTURES, *SOUND, *ARRAYS, b"\xff")  # RIFF is also WebP; ff is JPEG and MP3
LARGEST = 1 << 28  # bytes of a file from standard input
ENOUGH = 16  # bytes needed to tell a file from a list of file names


def read_sources(
    in_lines: bool, files: list[Path], stream: Stream, most: int
) -> Iterator[list[Any]]:
    """Yield sources in lists of at most ``most``.

    With ``in_lines`` the sources are the lines of the file; otherwise they are the files themselves
    (an .npz file stands for all its arrays). "-" stands for ``stream``, which holds lines of text,
    or else one file or file names, one per line. A source that cannot be read is `Unreadable`.

    Raises:
        UserError: There is nothing to read, or a text file cannot be read.
    """
    if in_lines:
        yield from chunks(files[0], stream, most)
        return
    waiting: list[Path] = []
    for file in files:
        if str(file) != "-":
            waiting.append(file)
            continue
        yield from _pieces(waiting, most)
        waiting = []
        yield from _standard_input(stream, most)
    yield from _pieces(waiting, most)


def _pieces(files: list[Path], most: int) -> Iterator[list[Any]]:
    waiting = chain.from_iterable(map(_expand, files))
    while chunk := list(islice(waiting, most)):
        yield chunk


def _standard_input(stream: Stream, most: int) -> Iterator[list[Any]]:
    """Read one file or a list of file names, whichever standard input holds."""
    from kochi.contents import Contents
    from kochi.data.readers.base import Unreadable

    start = b""
    while len(start) < ENOUGH and b"\n" not in start:
        piece = stream.read1(PIECE)
        if not piece:
            break
        start += piece
    if _is_file(start):
        content = start + stream.read(LARGEST)
        if len(content) > LARGEST:
            raise UserError(
                f"{STANDARD_INPUT}: more than {LARGEST:,} bytes; save the file and give its name "
                "instead"
            )
        yield list(_expand(Contents(content, STANDARD_INPUT)))
        return
    before = 0
    for lines in chunks(Path("-"), stream, most, start):
        sources: list[Any] = []
        for number, line in enumerate(lines, 1):
            if isinstance(line, Unreadable):
                sources.append(Unreadable(f"{STANDARD_INPUT}:{before + number}", line.reason))
            else:
                sources += _expand(Path(line)) if line.strip() else [line]
        before += len(lines)
        yield sources


def _is_file(start: bytes) -> bool:
    """Return whether the bytes begin a binary file rather than a list of file names."""
    if not start.startswith(MAGIC):
        return False
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return True
    return "\0" in text


def _expand(file: "File") -> "Iterator[File | Unreadable | Any]":
    archive = file.suffix == ".npz" if isinstance(file, Path) else file.content.startswith(ZIPS)
    if not archive:
        yield file
        return
    from kochi.data.readers.base import Unreadable
    from kochi.modalities.features.reader import keys_of
    from kochi.modalities.features.row import FeatureRow

    try:
        keys = keys_of(file)
    except UserError as error:
        yield Unreadable(str(file), str(error))
        return
    if not keys:
        yield Unreadable(str(file), f"{file}: contains no arrays; expected at least one")
    for key in keys:
        yield FeatureRow(file, key)
