"""Token ids of a whole training set on disk.

Pairs are cut into tokens a chunk at a time, and tokens are read a batch at a time: what stays in
memory is where each row starts and how long it is, 8 bytes a row and side.
"""

import errno
import json
import os
import shutil
import weakref
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Int32, Int64, Integer

from kochi.data.pairs import Pair
from kochi.data.tokenizer import Tokenizer
from kochi.errors import UserError

_FORMAT = 1
_SIDES = ("source", "target")
_CHUNK_PAIRS = 10_000


class Corpus:
    """Pairs of token sequences in files; neither begin nor end tokens are stored.

    Args:
        folder: What `Corpus.build` wrote.

    Attributes:
        skipped: Pairs that were left out because a side was too long.

    Raises:
        UserError: The folder is not a whole corpus.
    """

    def __init__(self, folder: Path):
        about = _read_about(folder)
        self.folder = folder
        self.skipped: int = about["skipped"]
        self._rows: int = about["rows"]
        self._tokens = [_Tokens(folder / f"{s}.tokens", np.dtype(about[s])) for s in _SIDES]
        self._offsets = [
            _read_offsets(folder / f"{side}.offsets", self._rows, tokens.count)
            for side, tokens in zip(_SIDES, self._tokens, strict=True)
        ]
        self._lengths = [np.diff(offsets).astype(np.int32) for offsets in self._offsets]

    def __len__(self) -> int:
        return self._rows

    @property
    def source_lengths(self) -> Int32[np.ndarray, " rows"]:
        """Number of source tokens of every row."""
        return self._lengths[0]

    @property
    def target_lengths(self) -> Int32[np.ndarray, " rows"]:
        """Number of target tokens of every row."""
        return self._lengths[1]

    def source(self, row: int) -> Int64[np.ndarray, " length"]:
        """Return the source tokens of a row."""
        return self.gather(0, np.array([row]))

    def target(self, row: int) -> Int64[np.ndarray, " length"]:
        """Return the target tokens of a row."""
        return self.gather(1, np.array([row]))

    def gather(
        self, side: int, rows: Integer[np.ndarray, " batch"]
    ) -> Int64[np.ndarray, " tokens"]:
        """Return the tokens of several rows one after the other.

        Args:
            side: 0 for the sources, 1 for the targets.
            rows: Row numbers, from 0.
        """
        starts, lengths = self._offsets[side][rows], self._lengths[side][rows]
        return self._tokens[side].read(starts, lengths).astype(np.int64)

    @staticmethod
    def build(
        pairs: Iterable[Pair],
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        folder: Path,
        max_length: int,
    ) -> "Corpus":
        """Cut pairs into tokens and write them, all or nothing; keep a chunk of them in memory.

        The first reference of a pair is its target.

        Args:
            pairs: Read once.
            source_tokenizer: Cuts the sources.
            target_tokenizer: Cuts the targets.
            folder: Is made; what it holds is replaced.
            max_length: Pairs with a longer side, in tokens, are skipped and counted.

        Raises:
            UserError: No pair is left, or the disk is full.
        """
        partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            _write(partial, pairs, (source_tokenizer, target_tokenizer), max_length)
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
    folder: Path, pairs: Iterable[Pair], tokenizers: tuple[Tokenizer, Tokenizer], max_length: int
) -> None:
    dtypes = [np.dtype(np.uint16 if t.size <= 1 << 16 else np.uint32) for t in tokenizers]
    writers = [_Writer(folder, *about) for about in zip(_SIDES, dtypes, strict=True)]
    rows = seen = 0
    try:
        for chunk in _chunks(pairs):
            sources = tokenizers[0].encode_batch([pair.source for pair in chunk])
            targets = tokenizers[1].encode_batch([pair.references[0] for pair in chunk])
            seen += len(chunk)
            both = zip(sources, targets, strict=True)
            kept = [pair for pair in both if max(map(len, pair)) <= max_length]
            rows += len(kept)
            for side, writer in enumerate(writers):
                writer.write([pair[side] for pair in kept])
    finally:
        for writer in writers:
            writer.close()
    if not rows:
        raise UserError(
            f"no pair is left of {seen}: a side of each is longer than data.max_length = "
            f"{max_length} tokens; raise it or split the texts"
        )
    about = {"format": _FORMAT, "rows": rows, "skipped": seen - rows}
    about |= {side: dtype.name for side, dtype in zip(_SIDES, dtypes, strict=True)}
    (folder / "corpus.json").write_text(json.dumps(about), encoding="utf-8")


def _chunks(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    stream = iter(pairs)
    while chunk := list(islice(stream, _CHUNK_PAIRS)):
        yield chunk


class _Writer:
    """Append token sequences of one side to its two files."""

    def __init__(self, folder: Path, side: str, dtype: np.dtype[Any]):
        self._dtype = dtype
        self._tokens: BinaryIO = (folder / f"{side}.tokens").open("wb")
        self._offsets: BinaryIO = (folder / f"{side}.offsets").open("wb")
        self._end = 0
        self._offsets.write(np.zeros(1, np.int64).tobytes())

    def write(self, sequences: list[list[int]]) -> None:
        lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
        total = int(lengths.sum())
        tokens = np.fromiter(chain.from_iterable(sequences), self._dtype, total)
        self._tokens.write(tokens.tobytes())
        self._offsets.write((np.cumsum(lengths) + self._end).tobytes())
        self._end += total

    def close(self) -> None:
        self._tokens.close()
        self._offsets.close()


# ---------------------------------------------------------------------------------------- reading


class _Tokens:
    """Read stretches of a file of numbers, each by a call of its own.

    A memory map would count as memory of this process whatever the system maps around each
    number that is read: up to 2 MiB where files are cached in large pages.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any]):
        self._dtype = dtype
        try:
            self._file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise _damaged(path.parent, str(error)) from None
        weakref.finalize(self, os.close, self._file)
        self.count = os.fstat(self._file).st_size // dtype.itemsize

    def read(
        self, starts: Integer[np.ndarray, " batch"], lengths: Integer[np.ndarray, " batch"]
    ) -> Integer[np.ndarray, " tokens"]:
        size = self._dtype.itemsize
        sizes = (lengths * size).tolist()
        places = (starts.astype(np.int64) * size).tolist()
        parts = [os.pread(self._file, *part) for part in zip(sizes, places, strict=True)]
        return np.frombuffer(b"".join(parts), self._dtype)


def _read_offsets(path: Path, rows: int, tokens: int) -> Integer[np.ndarray, " ends"]:
    """Read where each row starts and the last one ends; 32 bits each where they do."""
    try:
        offsets = np.memmap(path, np.int64, mode="r")
    except (OSError, ValueError) as error:
        raise _damaged(path.parent, str(error)) from None
    if len(offsets) != rows + 1 or offsets[0] != 0 or offsets[-1] != tokens:
        raise _damaged(path.parent, "the files do not have the sizes they should have")
    return np.array(offsets, np.uint32 if tokens < 1 << 32 else np.int64)


def _read_about(folder: Path) -> dict[str, Any]:
    try:
        about = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        whole = about["format"] == _FORMAT and about["rows"] > 0 and about["skipped"] >= 0
        whole = whole and all(about[side] in ("uint16", "uint32") for side in _SIDES)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, str(error)) from None
    if not whole:
        raise _damaged(folder, "corpus.json has been changed")
    return about


def _damaged(folder: Path, reason: str) -> UserError:
    return UserError(f"{folder}: not a whole corpus ({reason}); remove the folder")
