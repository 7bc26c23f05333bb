"""Read audio in blocks as it arrives: a long file, or a microphone through a pipe."""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int16

from kochi.errors import UserError
from kochi.modalities.audio.resampling import Resampler, to_float, to_int16

if TYPE_CHECKING:
    from kochi.modalities.audio.decoding import Decoder


def read_blocks(
    source: Path | io.BufferedIOBase, sample_rate_hz: int, block_seconds: float = 0.1
) -> Iterator[Int16[np.ndarray, " samples"]]:
    """Stream mono 16-bit samples; joined, they equal the result of `read_recording` for the file.

    A block is returned as soon as it has been read, but resampling delays some samples (by about
    0.1 s), so that blocks differ in length and the first may be late; empty ones are skipped.

    Args:
        source: A file, or a pipe such as ``sys.stdin.buffer`` from which nothing has been read. A
            pipe may contain wav, au or ogg; the audio ends at its end.
        sample_rate_hz: Sample rate of the result.
        block_seconds: Length of the blocks read, the maximum delay before the next block.

    Raises:
        UserError: While streaming, as in `read_recording`, at the first error.
        ValueError: A rate or block length is not positive.
    """
    if sample_rate_hz < 1 or not block_seconds > 0:
        raise ValueError(
            "sample_rate_hz and block_seconds must be positive, got "
            f"{sample_rate_hz} and {block_seconds}"
        )
    return _stream(source, sample_rate_hz, block_seconds)


def read_pcm(
    pipe: io.BufferedReader | io.BytesIO,
    from_hz: int,
    sample_rate_hz: int,
    block_seconds: float = 0.1,
) -> Iterator[Int16[np.ndarray, " samples"]]:
    """Stream headerless samples: 16 bit, little-endian, one channel.

    A block is returned as soon as it has at least one sample, with all that have arrived.

    Args:
        pipe: A pipe such as ``sys.stdin.buffer``.
        from_hz: Sample rate of the input.
        sample_rate_hz: Sample rate of the result.
        block_seconds: Maximum length of a block.

    Raises:
        UserError: While streaming: the input is empty, or ends within a sample.
        ValueError: A rate or block length is not positive.
    """
    if min(from_hz, sample_rate_hz) < 1 or not block_seconds > 0:
        raise ValueError(
            "from_hz, sample_rate_hz and block_seconds must be positive, got "
            f"{from_hz}, {sample_rate_hz} and {block_seconds}"
        )
    return _stream_pcm(pipe, Resampler(from_hz, sample_rate_hz), from_hz, block_seconds)


def _stream_pcm(
    pipe: io.BufferedReader | io.BytesIO, resampler: Resampler, from_hz: int, block_seconds: float
) -> Iterator[Int16[np.ndarray, " samples"]]:
    most, half, empty = 2 * max(1, round(block_seconds * from_hz)), b"", True
    while piece := pipe.read1(most):
        piece, empty = half + piece, False
        whole = len(piece) // 2 * 2
        half = piece[whole:]
        samples = np.frombuffer(piece[:whole], "<i2").astype(np.int16)
        yield from _some(resampler.push(to_float(samples)))
    if empty or half:
        found = "half a sample at the end" if half else "nothing"
        raise UserError(
            f"standard input: found {found}; expected 16-bit samples of one channel at "
            f"{from_hz} Hz; check what sends them"
        )
    yield from _some(resampler.push(np.zeros(0, np.float32), last=True))


def _stream(
    source: Path | io.BufferedIOBase, sample_rate_hz: int, block_seconds: float
) -> Iterator[Int16[np.ndarray, " samples"]]:
    from kochi.modalities.audio.decoding import decode, known_length

    name = str(source) if isinstance(source, Path) else "standard input"
    empty = True
    with _open(source, name) as decoder:
        resampler = Resampler(decoder.samplerate, sample_rate_hz)
        block_samples = max(1, round(block_seconds * decoder.samplerate))
        count = known_length(decoder) if isinstance(source, Path) else None
        for block in decode(decoder, name, count=count, block_samples=block_samples):
            empty = False
            yield from _some(resampler.push(block.mean(axis=1)))
        if empty:
            raise UserError(f"{name}: holds no samples; expected at least one; check the source")
        yield from _some(resampler.push(np.zeros(0, np.float32), last=True))


def _some(samples: np.ndarray) -> Iterator[Int16[np.ndarray, " samples"]]:
    if len(samples):
        yield to_int16(samples)


def _open(source: Path | io.BufferedIOBase, name: str) -> "AbstractContextManager[Decoder]":
    from kochi.modalities.audio.decoding import open_pipe, open_sound

    if isinstance(source, Path):
        return open_sound(source)
    try:
        descriptor = source.fileno()
    except (io.UnsupportedOperation, ValueError):
        raise UserError(
            f"{name}: has no file behind it; expected a file or a pipe; give the file's path"
        ) from None
    return open_pipe(descriptor, name)
