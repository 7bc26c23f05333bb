"""What is to be answered, as the command line names it."""

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

# How files begin that a model may read: pictures, sound, arrays.
PICTURES = (b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")
SOUND = (b"RIFF", b"fLaC", b"OggS", b"FORM", b".snd", b"ID3")
ZIPS = (b"PK\x03\x04", b"PK\x05\x06")  # an .npz file is one; the second is empty
ARRAYS = (b"\x93NUMPY", *ZIPS)
MAGIC = (*PICTURES, *SOUND, *ARRAYS, b"\xff")  # RIFF is WebP, too; ff JPEG and MP3
LARGEST = 1 << 28  # bytes of a file that comes through standard input
ENOUGH = 16  # bytes by which a file is told from names of files


def read_sources(
    in_lines: bool, files: list[Path], stream: Stream, most: int
) -> Iterator[list[Any]]:
    """Give sources in lists of at most ``most``.

    In lines they are the lines of the file; else the files themselves (an .npz file stands for all
    its arrays). "-" stands for ``stream``: lines of text; or else one file, or names of files, one
    a line. What cannot be read is `Unreadable`.

    Raises:
        UserError: There is nothing to read, or a file of text cannot be read.
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
    """Read one file, or names of files, whichever comes."""
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
                f"{STANDARD_INPUT}: more than {LARGEST:,} bytes; expected a file of at most that "
                "many: save it and name the file"
            )
        yield list(_expand(Contents(content, STANDARD_INPUT)))
        return
    before = 0
    for lines in chunks(Path("-"), stream, most, start):
        found: list[Any] = []
        for number, line in enumerate(lines, 1):
            if isinstance(line, Unreadable):
                found.append(Unreadable(f"{STANDARD_INPUT}:{before + number}", line.reason))
            else:
                found += _expand(Path(line)) if line.strip() else [line]
        before += len(lines)
        yield found


def _is_file(start: bytes) -> bool:
    """Say whether bytes begin a file that is not text, as names of files are."""
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
        yield Unreadable(str(file), f"{file}: holds no arrays; expected at least one")
    for key in keys:
        yield FeatureRow(file, key)
