"""The boundary between untrusted files and the code that uses them.

`open_file` opens regular files only, `read_file` checks the size before reading, and `parsing`
turns any exception of a parser into one `UserError`. Only the call of the parser belongs inside
`parsing`, so that bugs in our own code keep their traceback. See ``docs/decisions/0062-*.md``.
"""

import difflib
import io
import json
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kochi.contents import Contents, File
from kochi.errors import Interrupted, UserError

DEEPEST = 64  # levels of JSON or TOML; Python's recursion limit is met at about 300
MOST_DIGITS = 20  # of a whole number: a few more than 64 bits have
LARGEST_INT = 1 << 63
LARGEST_TOML = 1 << 20  # bytes
LONGEST_REASON = 200  # characters of a parser's message that are repeated
PIECE = 1 << 20
COPY_AGAIN = "copy the file again"
# More parts of a dotted key than levels may be: tomllib takes quadratic time for them.
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DOTTED = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{DEEPEST},}}+")
_ADDRESS = re.compile(r" <[^<>]* at 0x[0-9a-f]+>")
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


# ----------------------------------------------------------------------------------- the boundary


@contextmanager
def parsing(name: str | Callable[[], str], what: str, remedy: str = COPY_AGAIN) -> Iterator[None]:
    """Turn any exception of a parser into one `UserError`; the cause is kept for debugging.

    Args:
        name: Name of the file in the message, with the line or row if there is one; a function if
            it is not known in advance.
        what: The expected content, such as "a picture".
        remedy: What the user can do.

    Raises:
        UserError: The parser raised anything. A `UserError` from inside passes unchanged.

    >>> with parsing("a.txt", "a number"):
    ...     raise ValueError("two points")
    Traceback (most recent call last):
    kochi.errors.UserError: a.txt: cannot be read as a number (two points); copy the file again
    """
    try:
        yield
    except (UserError, Interrupted):
        raise
    except MemoryError as error:
        raise UserError(f"{_name(name)}: needs more memory than there is; {remedy}") from error
    except BaseException as error:
        panic = type(error).__module__ == "pyo3_runtime"  # of Rust; it is no Exception
        if not isinstance(error, Exception) and not panic:
            raise
        found = f"cannot be read as {what} ({reason(error)})"
        raise UserError(f"{_name(name)}: {found}; {remedy}") from error


def _name(name: str | Callable[[], str]) -> str:
    return name if isinstance(name, str) else name()


def reason(error: BaseException) -> str:
    """Return the first line of an error's message, shortened; its type if it has none."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    listed = getattr(error, "errors", None)  # of pydantic
    if callable(listed):
        first: Any = listed()[0]  # pyright: ignore[reportIndexIssue]
        return shortened(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    text = _ADDRESS.sub("", str(error)).strip().removeprefix("Error : ")
    first = text.splitlines()[0].rstrip(".") if text else type(error).__name__
    return shortened(first)


def shortened(text: str, most: int = LONGEST_REASON) -> str:
    """Shorten a text that is too long for a message in its middle.

    >>> shortened("a" * 10, 7)
    'aaa...a'
    """
    if len(text) <= most:
        return text
    end = (most - 3) // 4
    return f"{text[: most - 3 - end]}...{text[len(text) - end :]}"


# ------------------------------------------------------------------------------------------- files


def open_file(
    path: File,
    what: str,
    *,
    name: str = "",
    missing: str = "",
    folder: str = "check the path",
    pipes: bool = False,
) -> io.BufferedIOBase:
    """Open a regular file, or one that is held in memory.

    A file in a manifest or a model folder may be a link to a device or a pipe, from which reading
    never ends or never starts; these are refused without waiting.

    Args:
        path: The file.
        what: The expected content, such as "a picture", for messages.
        name: Name of the file in messages. Default: its path.
        missing: Message for a missing file.
        folder: What to do if it is a folder.
        pipes: Also accept pipes and terminals, for files that the user names on the command line,
            such as /dev/stdin.

    Raises:
        UserError: The file is missing, cannot be opened, or is not a regular file.
    """
    if isinstance(path, Contents):
        return path.open()
    name = name or str(path)
    try:
        found = os.stat(path).st_mode
        if stat.S_ISREG(found) or (pipes and not stat.S_ISDIR(found)):
            opener = None if pipes else _without_waiting
            file = open(path, "rb", opener=opener)  # noqa: SIM115
            found = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(found) or (pipes and not _is_endless(file, found)):
                return file
            file.close()
    except FileNotFoundError:
        missing = missing or f"no such file; expected {what}; check the path"
        raise UserError(f"{name}: {missing}{nearest_path(path)}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UserError(f"{name}: cannot be opened: {reason(error)}; check the file") from None
    kind = next((kind for is_one, kind in _KINDS if is_one(found)), "not a regular file")
    remedy = folder if stat.S_ISDIR(found) else "name a regular file"
    raise UserError(f"{name}: is {kind}; expected {what}; {remedy}")


def nearest_path(path: Path) -> str:
    """Return a suggestion for a missing path: an entry of the same folder with a similar name."""
    try:
        names = os.listdir(path.parent)
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.8)
    return f"; did you mean {str(path.with_name(near[0]))!r}?" if near else ""


def _is_endless(file: io.BufferedIOBase, mode: int) -> bool:
    """Return whether an open file is a device such as /dev/zero, not a terminal or /dev/null."""
    if not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
        return False
    return not (file.isatty() or os.path.samestat(os.fstat(file.fileno()), os.stat(os.devnull)))


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_file(
    path: File,
    what: str,
    most: int,
    *,
    name: str = "",
    missing: str = "",
    folder: str = "check the path",
    pipes: bool = False,
) -> bytes:
    """Read a whole file after checking its size.

    Args:
        path: As in `open_file`.
        what: As in `open_file`.
        most: Maximum number of bytes.
        name: As in `open_file`.
        missing: As in `open_file`.
        folder: As in `open_file`.
        pipes: As in `open_file`.

    Raises:
        UserError: As in `open_file`; or the file is larger, cannot be read, or is being changed.
    """
    name = name or str(path)
    with open_file(path, what, name=name, missing=missing, folder=folder, pipes=pipes) as file:
        return read_open(file, what, most, name)


def read_open(file: io.BufferedIOBase, what: str, most: int, name: str) -> bytes:
    """Read the rest of an open file; see `read_file`."""
    size = size_of(file)
    if size is not None and size > most:
        raise _too_large(name, size, most, what)
    pieces, count = [], 0
    with parsing(name, what):
        while count <= most and (piece := file.read(PIECE if size is None else size + 1 - count)):
            pieces.append(piece)
            count += len(piece)
            if size is not None and count > size:
                break
    if size is None and count > most:
        raise _too_large(name, f"more than {most:,}", most, what)
    if size is not None and count != size:
        raise UserError(
            f"{name}: changed while it was read ({size:,} bytes, then {count:,}); try again"
        )
    return b"".join(pieces)


def size_of(file: io.BufferedIOBase) -> int | None:
    """Return the number of remaining bytes of a regular file or in memory; None for a pipe."""
    if hasattr(file, "getbuffer"):
        return len(file.getbuffer()) - file.tell()  # pyright: ignore[reportAttributeAccessIssue]
    status = os.fstat(file.fileno())
    return status.st_size - file.tell() if stat.S_ISREG(status.st_mode) else None


def _too_large(name: str, size: int | str, most: int, what: str) -> UserError:
    found = f"{size:,}" if isinstance(size, int) else size
    return UserError(f"{name}: has {found} bytes; expected at most {most:,} of {what}")


# ------------------------------------------------------------------------------------ JSON and TOML


def parse_json(
    text: str | bytes,
    name: str,
    remedy: str = COPY_AGAIN,
    name_of_line: Callable[[int], str] | None = None,
) -> Any:
    """Parse JSON of at most `DEEPEST` levels, with whole numbers of at most `MOST_DIGITS` digits.

    Args:
        text: What is parsed.
        name: As in `parsing`.
        remedy: As in `parsing`.
        name_of_line: What messages call a line of the text, from 1. Default: ``name``.

    Raises:
        UserError: It is no such JSON.
    """
    with parsing(name, "JSON", remedy):
        try:
            value = json.loads(text, parse_int=_short_int)
        except json.JSONDecodeError as error:
            where = name if name_of_line is None else name_of_line(error.lineno)
            found = f"{error.msg} at character {error.colno}"
            raise UserError(f"{where}: not JSON: {found}; {remedy}") from error
        brackets = ("[", "{") if isinstance(text, str) else (b"[", b"{")
        if sum(map(text.count, brackets)) > DEEPEST:  # pyright: ignore[reportArgumentType]
            check_nesting(value)
    return value


def _short_int(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a whole number of {len(digits)} digits, expected at most {MOST_DIGITS}")
    return int(digits)


def parse_toml(text: str, name: str, remedy: str = "correct it") -> dict[str, Any]:
    """Parse TOML of at most `DEEPEST` levels whose whole numbers have 64 bits.

    Args:
        text: What is parsed.
        name: As in `parsing`.
        remedy: As in `parsing`.

    Raises:
        UserError: It is no such TOML.
    """
    with parsing(name, "TOML", remedy):
        if _DOTTED.search(text):
            raise ValueError(f"nested too deeply: a key of more than {DEEPEST} parts")
        tree = tomllib.loads(text)
        check_nesting(tree)
    return tree


def check_nesting(value: Any) -> None:
    """Refuse values that are too deep for recursive code such as ``repr`` or pydantic.

    Raises:
        ValueError: It is deeper than `DEEPEST`, or a whole number in it has more than 64 bits.
    """
    level, depth = [value], 0
    while level:
        if depth > DEEPEST:
            raise ValueError(f"nested too deeply: more than {DEEPEST} levels")
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below.extend(one.values())
            elif isinstance(one, list):
                below.extend(one)
            elif isinstance(one, int) and not -LARGEST_INT <= one < LARGEST_INT:
                raise ValueError("a whole number has more than 64 bits")
        level, depth = below, depth + 1


def inside(path: Path, folder: Path) -> bool:
    """Return whether a file is inside a folder after following all links."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle, which lead to no file
        return False
