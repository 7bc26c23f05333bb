"""Decode files of sound forward, in blocks, and say what is wrong with a file.

Needs soundfile (libsndfile): wav, flac, ogg (Vorbis, Opus), mp3, aiff and some more.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soundfile
from jaxtyping import Float32
from typing_extensions import override

from kochi.contents import Contents, File
from kochi.errors import UserError

HEADER_BYTES = 1 << 16
CHUNKS = (b"LIST", b"fact", b"bext", b"id3 ", b"ID3 ", b"cue ", b"smpl", b"JUNK")
BLOCK_SAMPLES = 1 << 16
LARGEST_OGG_PAGE = 27 + 255 + 255 * 255
END_OF_OGG_STREAM = 4  # a bit of a page's header type
UNKNOWN_BYTES = 0x7FFF0000  # what is written to a pipe announces this much or more
UNKNOWN_SAMPLES = 1 << 62  # libsndfile's way to say that a header does not tell
UNSCALED_PEAK = 16.0  # far above what float files overshoot, far below 16-bit numbers
ANNOUNCED = re.compile(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)


class Decoder(soundfile.SoundFile):
    """A file that is decoded forward only.

    soundfile seeks after each block of a file that can seek. In MP3 a frame needs bits of those
    before it, so that each such seek damages the samples behind it.
    """

    @override
    def seekable(self) -> bool:
        return False


@contextmanager
def open_sound(path: File) -> Iterator[Decoder]:
    """Open a file of sound.

    Raises:
        UserError: The file is missing, a folder, unreadable, empty, not sound or cut off.
    """
    _check_file(path)
    try:
        mended = _with_length(path)
        decoder = Decoder(mended or (path.open() if isinstance(path, Contents) else path))
    except (soundfile.SoundFileError, TypeError) as error:
        raise _not_sound(str(path), error) from None
    with decoder:
        cut = ANNOUNCED.search(decoder.extra_info)
        if cut and UNKNOWN_BYTES > int(cut[1]) > int(cut[2]):
            raise UserError(
                f"{path}: is cut off: found {cut[2]} bytes of sound, expected {cut[1]} from its "
                "header; copy the file again"
            )
        yield decoder


def _with_length(path: File) -> io.BytesIO | None:
    """Return a wav file with the length of its sound, where its header says 0; None for all else.

    A program that writes to a pipe cannot go back to the header when it knows the length.
    """
    with path.open("rb") as stream:
        head = stream.read(HEADER_BYTES)
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            return None
        start = 12
        while (name := head[start : start + 4]) != b"data":
            size = int.from_bytes(head[start + 4 : start + 8], "little")
            start += 8 + size + size % 2
            if len(name) < 4 or start >= len(head):
                return None
        rest = head[start + 8 :]
        announced = int.from_bytes(head[start + 4 : start + 8], "little")
        if announced or not rest or rest[:4] in CHUNKS:  # of an empty sound, notes may follow
            return None
        content = bytearray(head + stream.read())
    content[4:8] = (len(content) - 8).to_bytes(4, "little")
    content[start + 4 : start + 8] = (len(content) - start - 8).to_bytes(4, "little")
    return io.BytesIO(bytes(content))


@contextmanager
def open_pipe(descriptor: int, name: str) -> Iterator[Decoder]:
    """Open sound that comes through a pipe, such as standard input: wav, au or ogg.

    Raises:
        UserError: The stream is not sound, or of a kind that needs a file.
    """
    try:
        decoder = Decoder(descriptor, closefd=False)
    except soundfile.SoundFileError as error:
        raise _not_sound(name, error, "a wav or ogg stream") from None
    with decoder:
        if decoder.format == "MP3":
            raise UserError(
                f"{name}: mp3 cannot be read from a pipe; expected wav or ogg; save it to a file"
            )
        yield decoder


def known_length(decoder: Decoder) -> int | None:
    """Return how many samples (of each channel) the header announces, or None."""
    return decoder.frames if decoder.frames < UNKNOWN_SAMPLES else None


def decode(
    decoder: Decoder,
    name: str,
    first: int = 0,
    count: int | None = None,
    block_samples: int = BLOCK_SAMPLES,
) -> Iterator[Float32[np.ndarray, "samples channels"]]:
    """Decode in blocks, at the scale -1 to 1.

    Args:
        decoder: A file just opened.
        name: What error messages call it.
        first: How many samples (of each channel) to leave out at the start.
        count: How many samples to decode; None is all there are.
        block_samples: How many to decode at once; the last block is shorter.

    Raises:
        UserError: While decoding: the file is damaged or ends before ``count``, or a sample is not
            a number in that scale.
    """
    place = first
    left = UNKNOWN_SAMPLES if count is None else count
    try:
        _skip(decoder, first)
        while left:
            block = decoder.read(min(left, block_samples), dtype="float32", always_2d=True)
            if not len(block):
                break
            _check_numbers(block, name, place, decoder.samplerate)
            place, left = place + len(block), left - len(block)
            yield block
    except soundfile.SoundFileError as error:
        raise UserError(
            f"{name}: is cut off or damaged after {place / decoder.samplerate:.3f} s "
            f"({_reason(error)}); expected a whole file; copy it again"
        ) from None
    if count is not None and left:
        raise UserError(
            f"{name}: is cut off: found {place / decoder.samplerate:.3f} s of sound, expected "
            f"{(first + count) / decoder.samplerate:.3f} s from its header; copy the file again"
        )


def _skip(decoder: Decoder, count: int) -> None:
    if count and known_length(decoder) is not None:
        decoder.seek(count)
        return
    while count:
        count -= len(decoder.read(min(count, BLOCK_SAMPLES), dtype="float32"))


def _check_file(path: File) -> None:
    try:
        with path.open("rb") as raw:
            start = raw.read(4)
            size = raw.seek(0, 2)
            if start == b"OggS":
                raw.seek(max(0, size - LARGEST_OGG_PAGE))
                if not _ends_ogg(raw.read()):
                    raise UserError(
                        f"{path}: is cut off: the last page of the ogg stream is missing; "
                        "expected a whole file; copy it again, or convert it to wav"
                    )
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected a file of sound; check the path") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; expected a file of sound; name the file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be opened: {error}; check the file") from None
    if not size:
        raise UserError(f"{path}: is empty (0 bytes); expected a file of sound; copy it again")


def _ends_ogg(tail: bytes) -> bool:
    """Whether a stream's last page is whole and marked as the last (RFC 3533, section 6)."""
    start = tail.rfind(b"OggS")
    header = tail[start : start + 27]
    if start < 0 or len(header) < 27:
        return False
    sizes = tail[start + 27 : start + 27 + header[26]]
    whole = len(sizes) == header[26] and start + 27 + len(sizes) + sum(sizes) <= len(tail)
    return whole and bool(header[5] & END_OF_OGG_STREAM)


def _check_numbers(
    block: Float32[np.ndarray, "samples channels"], name: str, done: int, sample_rate_hz: int
) -> None:
    if not np.isfinite(block).all():
        place = int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
        found = next(value for value in block[place] if not np.isfinite(value))
        raise UserError(
            f"{name}: sample {done + place + 1} (at {(done + place) / sample_rate_hz:.3f} s) is "
            f"{found}; expected numbers from -1 to 1; mend the file or leave it out"
        )
    peak = float(np.abs(block).max())
    if peak > UNSCALED_PEAK:
        raise UserError(
            f"{name}: samples reach {peak:g}; expected numbers from -1 to 1; divide by the full "
            "scale (32768 if they come from 16-bit numbers), or save as 16 bit"
        )


def _not_sound(
    name: str, error: Exception, expected: str = "a whole wav, flac, ogg or mp3 file"
) -> UserError:
    return UserError(
        f"{name}: cannot be read as sound ({_reason(error)}); expected {expected}; copy it "
        "again, or convert it to wav"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, soundfile.LibsndfileError):
        text = error.error_string.removeprefix("Error : ").strip().rstrip(".")
        return "damaged or of an unknown kind" if "regular file" in text else text
    return "of an unknown kind"
