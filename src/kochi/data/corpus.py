"""Token ids of a whole training set on disk, read through memory maps.

A corpus of any size takes little memory: pairs are cut into tokens a chunk at a time, and pages of
the maps that have been read are given back to the system.
"""

import errno
import hashlib
import json
import mmap
import os
import shutil
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Int32, Int64, Integer

from kochi import config
from kochi.data.pairs import Pair, read_pairs, split_files
from kochi.data.tokenizer import Tokenizer
from kochi.errors import UserError

_FORMAT = 1
_SIDES = ("source", "target")
_CHUNK_PAIRS = 10_000
_RELEASE_ROWS = 512  # a row that is read maps up to 64 KiB around it


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
        self._offsets = [_Map(folder / f"{side}.offsets", np.dtype(np.int64)) for side in _SIDES]
        self._tokens = [_Map(folder / f"{s}.tokens", np.dtype(about[s])) for s in _SIDES]
        for offsets, tokens in zip(self._offsets, self._tokens, strict=True):
            if offsets.values.size != self._rows + 1 or offsets.values[-1] != tokens.values.size:
                raise _damaged(folder, "the files do not have the sizes they should have")
        self._lengths = [_lengths(offsets) for offsets in self._offsets]

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
        starts = self._offsets[side].take(rows, len(rows))
        lengths = self._lengths[side][rows]
        before = np.cumsum(lengths, dtype=np.int64) - lengths
        places = np.repeat(starts - before, lengths) + np.arange(lengths.sum(), dtype=np.int64)
        return self._tokens[side].take(places, len(rows)).astype(np.int64)

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


def prepare_corpus(
    data: config.Data, source_tokenizer: Tokenizer, target_tokenizer: Tokenizer, folder: Path
) -> Corpus:
    """Return the training corpus of a run, built once and kept in ``folder``.

    It is built anew when a data file (path, size or time of change), the data table, or a
    tokenizer has changed. Changes of a data set that is read by its name are not noticed.

    Raises:
        UserError: Something is wrong with the training data.
    """
    place = folder / _fingerprint(data, source_tokenizer, target_tokenizer)
    try:
        return Corpus(place)
    except UserError:
        pairs = read_pairs(data, "train")
        return Corpus.build(pairs, source_tokenizer, target_tokenizer, place, data.max_length)


def _fingerprint(data: config.Data, source: Tokenizer, target: Tokenizer) -> str:
    files = []
    for path in split_files(data, "train"):
        if path.is_file():
            state = path.stat()
            files.append([str(path.resolve()), state.st_size, state.st_mtime_ns])
    about = data.model_dump(mode="json", exclude={"dev", "test", "source", "target"})
    parts = [_FORMAT, files, about, source.fingerprint, target.fingerprint]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


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


class _Map:
    """A file of numbers that is mapped into memory and gives back the pages it has read."""

    def __init__(self, path: Path, dtype: np.dtype[Any]):
        self._map = None
        self._taken = 0
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size:  # an empty file cannot be mapped
                    self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self.values = np.frombuffer(self._map or b"", dtype)
        except (OSError, ValueError) as error:
            raise _damaged(path.parent, str(error)) from None

    def take(self, places: Integer[np.ndarray, " n"], rows: int) -> Integer[np.ndarray, " n"]:
        """Copy the numbers at some places, which belong to so many rows."""
        values = self.values[places]
        self._taken += rows
        if self._taken >= _RELEASE_ROWS:
            self.release()
        return values

    def release(self) -> None:
        """Stop counting pages that were read as memory of this process (they stay cached)."""
        self._taken = 0
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


def _lengths(offsets: _Map) -> Int32[np.ndarray, " rows"]:
    values = offsets.values
    lengths = np.empty(len(values) - 1, np.int32)
    np.subtract(values[1:], values[:-1], out=lengths, casting="unsafe")
    offsets.release()
    return lengths


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
