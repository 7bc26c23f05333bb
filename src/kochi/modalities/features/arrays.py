"""Arrays of numbers in .npy and .npz files, whose headers are checked before memory is allocated.

The .npy format is https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Its
header is a Python literal; its three keys are extracted with a regular expression, so that nothing
is evaluated, and arrays of Python objects, which numpy would unpickle, are refused.
"""

import io
import math
import re
import zipfile
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, cast

import numpy as np

from kochi.contents import Contents, File
from kochi.errors import UserError
from kochi.reading import open_file, parsing, size_of

LARGEST = 1 << 28  # bytes of one array: two minutes of 80 numbers every 10 ms have 4 MB (float32)
LONGEST_HEADER = 10_000  # bytes, as in numpy
MAGIC = b"\x93NUMPY"
WHAT = ".npy or .npz"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those that numpy writes with
_MOST_DEFLATED = 1032  # bytes that one byte of deflate can expand to
_KEYS = {
    "descr": r"'([^'\\]*)'",
    "fortran_order": r"(True|False)",
    "shape": r"\(((?:\s*\d{1,18}L?\s*,)*(?:\s*\d{1,18}L?)?)\s*\)",
}
_ITEM = re.compile(r"\s*'(\w+)'\s*:\s*(?:{})\s*(?:,|(?=\}}))".format("|".join(_KEYS.values())))
_NUMBERS = re.compile(r"[<>|=]?(?:[iu][1248]|f(?:[248]|12|16))")


class Header(NamedTuple):
    """The header of an array.

    Attributes:
        shape: The shape.
        type: The type as written in the file, such as "<f4"; for numbers, numpy's type string.
        fortran: Whether the first axis is the innermost one (column-major order).
    """

    shape: tuple[int, ...]
    type: str
    fortran: bool


Check = Callable[[Header], None]


def read_npy(path: File, name: str, check: Check) -> np.ndarray:
    """Read a .npy file.

    Args:
        path: The file.
        name: Its name in messages.
        check: Called with the header before memory is allocated; raises an error for unsuitable
            arrays.

    Raises:
        UserError: The file does not exist, is truncated, is not an array of numbers, or is too
            large.
    """
    with open_file(path, "a .npy file", name=name) as file:
        size = size_of(file)
        assert size is not None
        if not size:
            raise UserError(f"{name}: cannot be read as {WHAT} (it is empty); copy it again")
        if file.read(2) == b"PK":
            raise UserError(f"{name}: found .npz; name one of its arrays")
        file.seek(0)
        return _read(file, size, name, check)


class Archive:
    """The arrays of an .npz file.

    Args:
        path: The file.

    Attributes:
        keys: The names of the arrays, in the order of the file.

    Raises:
        UserError: The file does not exist or is not an .npz file.
    """

    def __init__(self, path: File) -> None:
        name = str(path)
        file = open_file(path, "an .npz file", name=name)
        try:
            if file.read(len(MAGIC)) == MAGIC:
                raise UserError(f"{name}: found .npy; expected an .npz file")
            file.seek(0)
            with parsing(name, WHAT):
                self._zip = zipfile.ZipFile(file)
            self._file = file
        except BaseException:
            file.close()
            raise
        entries = self._zip.infolist()
        self._entries = {entry.filename.removesuffix(".npy"): entry for entry in entries}
        self.keys = tuple(self._entries)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def read(self, key: str, name: str, check: Check) -> np.ndarray:
        """Read one array; see `read_npy`."""
        if key not in self._entries:
            found = f"{len(self.keys)} arrays ({', '.join(self.keys[:3])}, ...)"
            raise UserError(f"{name}: no such array; the file has {found}")
        entry = self._entries[key]
        if entry.compress_type not in _METHODS:
            raise UserError(
                f"{name}: is compressed by method {entry.compress_type}; expected deflate (8): "
                "save it with numpy.savez_compressed"
            )
        if entry.file_size > max(1, entry.compress_size) * _MOST_DEFLATED:
            raise UserError(
                f"{name}: {entry.compress_size:,} bytes cannot hold the {entry.file_size:,} that "
                "its directory announces; copy the file again"
            )
        with parsing(name, WHAT):
            stream = cast("io.BufferedIOBase", self._zip.open(entry))
        with stream:
            array = _read(stream, entry.file_size, name, check)
            with parsing(name, WHAT):
                stream.read(1)  # reading past the end compares the checksum
        return array


def archive(path: File) -> Archive:
    """Return the arrays of an .npz file; the most recent archive is cached.

    Raises:
        UserError: As in `Archive`.
    """
    if isinstance(path, Contents):
        return _archive(path, None)
    with parsing(str(path), WHAT):
        try:
            status = path.stat()
        except FileNotFoundError:
            return Archive(path)  # reports the error
    return _archive(path, (status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=1)
def _archive(path: File, state: tuple[int, ...] | None) -> Archive:
    return Archive(path)


def _read(file: io.BufferedIOBase, size: int, name: str, check: Check) -> np.ndarray:
    """Read an array from an open file with ``size`` bytes left."""
    with parsing(name, WHAT):
        header, used = _header(file)
    if _NUMBERS.fullmatch(header.type) is None:
        shape = header.shape
        raise UserError(
            f"{name}: found an array of shape {shape} and type {header.type}, expected numbers "
            "[frames, size]"
        )
    with parsing(name, WHAT):
        dtype = np.dtype(header.type)
    check(header._replace(type=str(dtype)))
    needed = math.prod(header.shape) * dtype.itemsize
    if needed > LARGEST:
        raise UserError(
            f"{name}: shape {header.shape} of type {dtype} needs {needed:,} bytes; expected at "
            f"most {LARGEST:,}; cut it into utterances"
        )
    if needed != size - used:
        raise UserError(
            f"{name}: is cut off or damaged: shape {header.shape} of type {dtype} needs {needed:,} "
            f"bytes, found {size - used:,}; copy the file again"
        )
    with parsing(name, WHAT):
        content = file.read(needed)
        if len(content) != needed:
            raise ValueError(f"ends after {len(content):,} of {needed:,} bytes")
    array = np.frombuffer(content, dtype)
    if header.fortran:
        return array.reshape(header.shape[::-1]).T
    return array.reshape(header.shape)


def _header(file: io.BufferedIOBase) -> tuple[Header, int]:
    """Read a header; return it and its size in bytes.

    Raises:
        ValueError: It is not a header.
    """
    start = file.read(len(MAGIC) + 2)
    if not start.startswith(MAGIC) or len(start) < len(MAGIC) + 2:
        raise ValueError("it does not begin as such a file does")
    version = start[len(MAGIC)]
    if version not in (1, 2, 3):
        raise ValueError(f"version {version}, expected 1, 2 or 3")
    length = file.read(2 if version == 1 else 4)
    count = int.from_bytes(length, "little")
    if count > LONGEST_HEADER:
        raise ValueError(f"a header of {count:,} bytes, expected at most {LONGEST_HEADER:,}")
    raw = file.read(count)
    if len(raw) < count:
        raise ValueError("cut off in the header")
    text = raw.decode("utf-8" if version == 3 else "latin-1").strip()
    return _parsed(text), len(start) + len(length) + count


def _parsed(text: str) -> Header:
    """Parse the header of an array.

    Raises:
        ValueError: It does not have the format that numpy writes.

    >>> _parsed("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }")
    Header(shape=(2, 3), type='<f4', fortran=False)
    """
    found: dict[str, Any] = {}
    place = 1
    while item := _ITEM.match(text, place):
        key, values = item[1], item.groups()[1:]
        found[key] = next((value for value in values if value is not None), None)
        if _KEYS.keys() != _KEYS.keys() | {key} or values[list(_KEYS).index(key)] is None:
            raise ValueError(f"its header has '{key}' in another form")
        place = item.end()
    if not text.startswith("{") or text[place:].strip() != "}" or found.keys() != _KEYS.keys():
        raise ValueError("its header is not one of an array of numbers")
    shape = tuple(int(side.strip(" L")) for side in found["shape"].split(",") if side.strip())
    return Header(shape, found["descr"], found["fortran_order"] == "True")
