"""A whole encoded training set on disk: tokens, audio samples, frames, pixels.

Pairs are encoded in chunks and read back in batches. Only the start and length of each row stay in
memory, 8 bytes per row and side. Numbers are read back bit for bit.
"""

import errno
import json
import os
import shutil
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Int32, Integer

from kochi.data.left_out import Bad, nothing_left, refuse
from kochi.data.pair import Pair
from kochi.data.readers.base import Numbers, Reader
from kochi.errors import UserError

_FORMAT = 1
_SIDES = ("source", "target")
_UNITS = {
    "tokens": ("uint16", "uint32"),
    "samples": ("int16",),
    "frames": ("float32",),
    "pixels": ("uint8",),
}


class Corpus:
    """Encoded pairs in files; tokens are stored without begin and end marks.

    Args:
        folder: The folder that `Corpus.build` wrote.

    Attributes:
        skipped: Number of pairs that were left out because a side was too long.

    Raises:
        UserError: The folder is not a complete corpus.
    """

    def __init__(self, folder: Path):
        about = _read_about(folder)
        self.folder = folder
        self.skipped: int = about["skipped"]
        self._rows: int = about["rows"]
        kinds = [_Kind.of(about, side) for side in _SIDES]
        self._numbers = [
            _Numbers(folder / f"{side}.{kind.unit}", kind)
            for side, kind in zip(_SIDES, kinds, strict=True)
        ]
        self._offsets = [
            _read_offsets(folder / f"{side}.offsets", self._rows, numbers.count)
            for side, numbers in zip(_SIDES, self._numbers, strict=True)
        ]
        self._lengths = [np.diff(offsets).astype(np.int32) for offsets in self._offsets]

    def __len__(self) -> int:
        return self._rows

    @property
    def source_lengths(self) -> Int32[np.ndarray, " rows"]:
        """Number of source tokens (or samples, or frames) of every row."""
        return self._lengths[0]

    @property
    def target_lengths(self) -> Int32[np.ndarray, " rows"]:
        """Number of target tokens of every row."""
        return self._lengths[1]

    def source(self, row: int) -> Numbers:
        """Return the source tokens (or samples, or frames) of a row."""
        return self.gather(0, np.array([row]))

    def target(self, row: int) -> Numbers:
        """Return the target tokens of a row."""
        return self.gather(1, np.array([row]))

    def gather(self, side: int, rows: Integer[np.ndarray, " batch"]) -> Numbers:
        """Return the concatenated numbers of several rows; tokens as 64-bit integers.

        Args:
            side: 0 for the sources, 1 for the targets.
            rows: Row numbers, from 0.
        """
        starts, lengths = self._offsets[side][rows], self._lengths[side][rows]
        return self._numbers[side].read(starts, lengths)

    @staticmethod
    def build(
        pairs: Iterable[Pair],
        source: Reader[Any],
        target: Reader[Any],
        folder: Path,
        max_length: int,
        bad: Bad = refuse,
    ) -> "Corpus":
        """Encode pairs and write them atomically; only a chunk is held in memory.

        The first reference of a pair is its target.

        Args:
            pairs: The pairs, which are iterated once.
            source: Reader of the sources.
            target: Reader of the targets.
            folder: The output folder; an existing one is replaced.
            max_length: Skip and count pairs with more tokens on a side, or with a source longer
                than ``source.longest`` if that is not None.
            bad: Called with the error of a pair whose source cannot be read, or has fewer frames
                than its target has tokens.

        Raises:
            UserError: No pair is left, or the disk is full.
        """
        partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            _write(partial, pairs, (source, target), max_length, bad)
            if folder.exists():
                shutil.rmtree(folder)
            partial.rename(folder)
        except OSError as error:
            full = " (free some space and start again)" if error.errno == errno.ENOSPC else ""
            reason = error.strerror or error
            raise UserError(f"{folder}: cannot write the corpus: {reason}{full}") from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return Corpus(folder)


# ---------------------------------------------------------------------------------------- writing


def _write(
    folder: Path,
    pairs: Iterable[Pair],
    readers: tuple[Reader[Any], Reader[Any]],
    max_length: int,
    bad: Bad,
) -> None:
    kinds = [_Kind.of_reader(reader) for reader in readers]
    writers = [_Writer(folder, *about) for about in zip(_SIDES, kinds, strict=True)]
    longest = max_length if readers[0].longest is None else readers[0].longest
    rows = seen = 0
    try:
        for chunk in _chunks(pairs, readers[0].chunk_rows):
            encoded = encode_pairs(chunk, *readers, bad)
            seen += len(encoded)
            kept = [row for row in encoded if len(row[1]) <= longest and len(row[2]) <= max_length]
            rows += len(kept)
            for side, writer in enumerate(writers, 1):
                writer.write([row[side] for row in kept])
    finally:
        for writer in writers:
            writer.close()
    if not rows:
        message = _none_left(seen, readers[0], max_length)
        raise UserError(message) if seen else nothing_left(bad, message)
    about: dict[str, Any] = {"format": _FORMAT, "rows": rows, "skipped": seen - rows}
    for side, kind in zip(_SIDES, kinds, strict=True):
        about |= kind.to_dict(side)
    (folder / "corpus.json").write_text(json.dumps(about), encoding="utf-8")


def encode_pairs(
    pairs: Sequence[Pair], source: Reader[Any], target: Reader[Any], bad: Bad = refuse
) -> list[tuple[Pair, Any, Any]]:
    """Encode pairs, without those that are passed to ``bad``.

    Returns:
        Each pair with its encoded source and first reference.

    Raises:
        UserError: ``bad`` raised it.
    """
    try:
        sources = source.encode_batch([pair.source for pair in pairs])
    except UserError:  # encode one by one to find the bad ones
        encoded = [(pair, _encode(pair, source, bad)) for pair in pairs]
        pairs = [pair for pair, numbers in encoded if numbers is not None]
        sources = [numbers for _, numbers in encoded if numbers is not None]
    targets = target.encode_batch([pair.references[0] for pair in pairs]) if pairs else []
    kept = []
    for row in zip(pairs, sources, targets, strict=True):
        try:
            _check_room(source, *row)
        except UserError as error:
            bad(error)
            continue
        kept.append(row)
    return kept


def _encode(pair: Pair, reader: Reader[Any], bad: Bad) -> Any:
    try:
        return reader.encode(pair.source)
    except UserError as error:
        bad(error)
        return None


def _check_room(reader: Reader[Any], pair: Pair, source: Any, target: Sequence[int]) -> None:
    """Refuse a source with fewer frames than its target has tokens: they cannot belong together.

    Raises:
        UserError: There are fewer frames; the message names the pair.
    """
    if not reader.outlasts_target:
        return
    frames = reader.positions(len(source))
    if frames < len(target):
        where = f"{pair.where}: " if pair.where else ""
        raise UserError(
            f"{where}{reader.describe(pair.source)} has {frames} frames, but its text has "
            f"{len(target)} tokens; expected at least one frame per token: check that they belong "
            "together"
        )


def _none_left(seen: int, reader: Reader[Any], max_length: int) -> str:
    if reader.longest is None:
        return (
            f"0 of {seen} pairs are left: a side of each is longer than data.max_length = "
            f"{max_length} tokens; raise it or split the texts"
        )
    return (
        f"0 of {seen} pairs are left: each has more than {reader.longest} {reader.unit} or "
        f"more than data.max_length = {max_length} tokens; raise the limits or split the rows"
    )


def _chunks(pairs: Iterable[Pair], size: int) -> Iterator[list[Pair]]:
    stream = iter(pairs)
    while chunk := list(islice(stream, size)):
        yield chunk


@dataclass(frozen=True)
class _Kind:
    """Type, width and unit of the rows of a side."""

    dtype: "np.dtype[Any]"
    width: int
    unit: str

    def to_dict(self, side: str) -> dict[str, Any]:
        about: dict[str, Any] = {side: self.dtype.name}
        if self.unit != "tokens":
            about |= {f"{side}_width": self.width, f"{side}_unit": self.unit}
        return about

    @staticmethod
    def of_reader(reader: Reader[Any]) -> "_Kind":
        possible, dtype = _UNITS[reader.unit], np.dtype(reader.dtype)
        if dtype.name not in possible:
            raise UserError(
                f"{type(reader).__name__}: dtype {dtype} for {reader.unit}; expected "
                f"{' or '.join(possible)}"
            )
        return _Kind(dtype, reader.width, reader.unit)

    @staticmethod
    def of(about: dict[str, Any], side: str) -> "_Kind":
        unit, width = about.get(f"{side}_unit", "tokens"), about.get(f"{side}_width", 1)
        return _Kind(np.dtype(about[side]), width, unit)

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * self.width


class _Writer:
    """Append rows of numbers of one side to its two files."""

    def __init__(self, folder: Path, side: str, kind: _Kind):
        self._kind = kind
        self._numbers: BinaryIO = (folder / f"{side}.{kind.unit}").open("wb")
        self._offsets: BinaryIO = (folder / f"{side}.offsets").open("wb")
        self._end = 0
        self._offsets.write(np.zeros(1, np.int64).tobytes())

    def write(self, rows: Sequence[Any]) -> None:
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        total = int(lengths.sum())
        if self._kind.unit == "tokens":
            tokens = np.fromiter(chain.from_iterable(rows), self._kind.dtype, total)
            self._numbers.write(tokens.tobytes())
        else:
            for row in rows:
                self._numbers.write(np.asarray(row, self._kind.dtype).tobytes())
        self._offsets.write((np.cumsum(lengths) + self._end).tobytes())
        self._end += total

    def close(self) -> None:
        self._numbers.close()
        self._offsets.close()


# ---------------------------------------------------------------------------------------- reading


class _Numbers:
    """Read segments of a file of numbers, each with its own system call.

    With a memory map, everything that the system maps around each number would count as memory of
    this process: up to 2 MiB if files are cached in large pages.
    """

    def __init__(self, path: Path, kind: _Kind):
        self._path = path
        self._kind = kind
        try:
            self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise _damaged(path.parent, str(error)) from None
        weakref.finalize(self, os.close, self._file)
        self._lock = threading.Lock()
        self.count = os.fstat(self._file).st_size // kind.row_bytes

    def read(
        self, starts: Integer[np.ndarray, " batch"], lengths: Integer[np.ndarray, " batch"]
    ) -> Numbers:
        size = self._kind.row_bytes
        sizes = (lengths * size).tolist()
        offsets = (starts.astype(np.int64) * size).tolist()
        parts = [self._read_at(*part) for part in zip(sizes, offsets, strict=True)]
        content = b"".join(parts)
        if len(content) != sum(sizes):
            raise _damaged(self._path.parent, f"{self._path.name} was truncated while in use")
        numbers = np.frombuffer(content, self._kind.dtype)
        if self._kind.unit == "tokens":
            return numbers.astype(np.int64)
        return numbers.reshape(-1, self._kind.width) if self._kind.unit == "frames" else numbers

    def _read_at(self, size: int, offset: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file, size, offset)
        with self._lock:  # Windows: to seek and to read are two calls
            os.lseek(self._file, offset, os.SEEK_SET)
            return os.read(self._file, size)


def _read_offsets(path: Path, rows: int, count: int) -> Integer[np.ndarray, " ends"]:
    """Read the start of each row and the end of the last one, in 32 bits each if they suffice."""
    try:
        offsets = np.memmap(path, np.int64, mode="r")
    except (OSError, ValueError) as error:
        raise _damaged(path.parent, str(error)) from None
    if len(offsets) != rows + 1 or offsets[0] != 0 or offsets[-1] != count:
        raise _damaged(path.parent, "the files do not have the expected sizes")
    return np.array(offsets, np.uint32 if count < 1 << 32 else np.int64)


def _read_about(folder: Path) -> dict[str, Any]:
    try:
        about = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        whole = about["format"] == _FORMAT and about["rows"] > 0 and about["skipped"] >= 0
        kinds = [_Kind.of(about, side) for side in _SIDES]
        whole = whole and all(kind.dtype.name in _UNITS[kind.unit] for kind in kinds)
        whole = whole and all(type(kind.width) is int and kind.width > 0 for kind in kinds)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, str(error)) from None
    if not whole:
        raise _damaged(folder, "corpus.json has been changed")
    return about


def _damaged(folder: Path, reason: str) -> UserError:
    return UserError(f"{folder}: not a complete corpus ({reason}); remove the folder")
