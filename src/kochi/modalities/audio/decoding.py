"""Decode audio files sequentially, in blocks, and report errors in a file.

Needs soundfile (libsndfile), which decodes in this process. The format of a file is determined by
its content, and libsndfile gets an open file, not a name: for some names it would interpret raw
samples as audio, or open a second file beside the first one.
"""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float32
from typing_extensions import override

from kochi.contents import File
from kochi.errors import UserError
from kochi.reading import open_file, parsing, read_open

FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF", "AU")
CODECS = (
    *("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    *("IMA_ADPCM", "MS_ADPCM", "GSM610", "VORBIS", "OPUS"),
    *("MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III"),
)
# First bytes of files of these formats. RIFX is big-endian; MP3 begins with a tag or with 11 ones.
STARTS = (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS", b"ID3", b"FORM", b".snd", b"dns.")
EXPECTED = "a whole wav, flac, ogg or mp3 file"
MOST_CHANNELS = 32
HIGHEST_RATE_HZ = 768_000
LARGEST_WITHOUT_LENGTH = 1 << 28  # bytes of a wav file whose header lacks the length
HEADER_BYTES = 1 << 16
CHUNKS = (b"LIST", b"fact", b"bext", b"id3 ", b"ID3 ", b"cue ", b"smpl", b"JUNK")
BLOCK_SAMPLES = 1 << 16
LARGEST_OGG_PAGE = 27 + 255 + 255 * 255
END_OF_OGG_STREAM = 4  # a bit of a page's header type
UNKNOWN_BYTES = 0x7FFF0000  # the minimum length that is announced when writing to a pipe
UNKNOWN_SAMPLES = 1 << 62  # libsndfile's value for a length that the header does not give
UNSCALED_PEAK = 16.0  # far above the overshoot of float files, far below 16-bit numbers
ANNOUNCED = re.compile(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)


class Decoder(soundfile.SoundFile):
    """A file that is decoded sequentially.

    soundfile seeks after each block of a seekable file. An MP3 frame needs bits of the preceding
    frames, so that each such seek damages the samples after it.
    """

    @override
    def seekable(self) -> bool:
        return False


class _Held(io.BytesIO):
    """A file in memory, in which a seek to before the start has no effect.

    libsndfile does that for damaged files, and an error in its callback would be printed.
    """

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


@contextmanager
def open_sound(path: File) -> Iterator[Decoder]:
    """Open an audio file.

    Raises:
        UserError: The file is missing, a folder, unreadable, empty, not audio or truncated.
    """
    name = str(path)
    with open_file(path, "a file of sound", folder="name the file") as file:
        _check_start(file, name)
        mended = _with_length(file, name)
        source: Any = mended or file
        if isinstance(source, io.BytesIO):
            source = _Held(source.getvalue())
        else:
            source = file.fileno()
            os.lseek(source, 0, os.SEEK_SET)  # reading ahead moved the position
        with _opened(name, EXPECTED, source) as decoder:
            cut = ANNOUNCED.search(decoder.extra_info)
            if cut and UNKNOWN_BYTES > int(cut[1]) > int(cut[2]):
                raise UserError(
                    f"{path}: is cut off: found {cut[2]} bytes of sound, expected {cut[1]} from "
                    "its header; copy the file again"
                )
            yield decoder


@contextmanager
def _opened(name: str, expected: str, source: Any) -> Iterator[Decoder]:
    remedy = f"expected {expected}; copy it again, or convert it to wav"
    with parsing(name, "sound", remedy):
        try:
            decoder = Decoder(source, closefd=False)
        except soundfile.LibsndfileError as error:
            raise ValueError(_reason(error)) from error
    with decoder:
        kind = f"{decoder.format} ({decoder.subtype})"
        if decoder.format not in FORMATS or decoder.subtype not in CODECS:
            raise UserError(f"{name}: is {kind}; {remedy}")
        if decoder.channels > MOST_CHANNELS:
            raise UserError(
                f"{name}: has {decoder.channels} channels; expected at most {MOST_CHANNELS}; mix "
                "them"
            )
        if not 0 < decoder.samplerate <= HIGHEST_RATE_HZ:
            raise UserError(
                f"{name}: has {decoder.samplerate:,} samples a second; expected at most "
                f"{HIGHEST_RATE_HZ:,}; correct its header or convert it"
            )
        yield decoder


def _check_start(file: io.BufferedIOBase, name: str) -> None:
    """Reject open files of other formats, empty files, and ogg streams without an end."""
    with parsing(name, "sound"):
        start = file.read(4)
        ogg = start == b"OggS"
        if ogg:
            size = file.seek(0, io.SEEK_END)
            file.seek(max(0, size - LARGEST_OGG_PAGE))
            ogg = not _ends_ogg(file.read())
        file.seek(0)
    if not start:
        raise UserError(f"{name}: is empty (0 bytes); expected a file of sound; copy it again")
    if not start.startswith(STARTS) and not (start[0] == 0xFF and start[1:] >= b"\xe0"):
        raise UserError(
            f"{name}: cannot be read as sound (of an unknown kind); expected {EXPECTED}; copy it "
            "again, or convert it to wav"
        )
    if ogg:
        raise UserError(
            f"{name}: is cut off: the last page of the ogg stream is missing; expected a whole "
            "file; copy it again, or convert it to wav"
        )


def _with_length(file: io.BufferedIOBase, name: str) -> io.BytesIO | None:
    """Return a wav file with its length added if its header gives 0; None for all other files.

    A program that writes to a pipe cannot return to the header once it knows the length.
    """
    head = file.read(HEADER_BYTES)
    file.seek(0)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    start = 12
    while (chunk := head[start : start + 4]) != b"data":
        size = int.from_bytes(head[start + 4 : start + 8], "little")
        start += 8 + size + size % 2
        if len(chunk) < 4 or start >= len(head):
            return None
    rest = head[start + 8 :]
    announced = int.from_bytes(head[start + 4 : start + 8], "little")
    if announced or not rest or rest[:4] in CHUNKS:  # in empty audio, notes may follow
        return None
    content = bytearray(read_open(file, "sound of unknown length", LARGEST_WITHOUT_LENGTH, name))
    content[4:8] = (len(content) - 8).to_bytes(4, "little")
    content[start + 4 : start + 8] = (len(content) - start - 8).to_bytes(4, "little")
    return io.BytesIO(bytes(content))


@contextmanager
def open_pipe(descriptor: int, name: str) -> Iterator[Decoder]:
    """Open audio from a pipe, such as standard input: wav, au or ogg.

    Raises:
        UserError: The stream is not audio, or in a format that needs a file.
    """
    with _opened(name, "a wav or ogg stream", descriptor) as decoder:
        if decoder.format == "MP3":
            raise UserError(
                f"{name}: mp3 cannot be read from a pipe; expected wav or ogg; save it to a file"
            )
        yield decoder


def known_length(decoder: Decoder) -> int | None:
    """Return the number of samples (per channel) given in the header, or None."""
    return decoder.frames if decoder.frames < UNKNOWN_SAMPLES else None


def decode(
    decoder: Decoder,
    name: str,
    first: int = 0,
    count: int | None = None,
    block_samples: int = BLOCK_SAMPLES,
) -> Iterator[Float32[np.ndarray, "samples channels"]]:
    """Decode in blocks, scaled to -1 to 1.

    Args:
        decoder: A file just opened.
        name: Its name in error messages.
        first: Number of samples (per channel) to skip at the start.
        count: Number of samples to decode; None for all.
        block_samples: Number of samples per block; the last block is shorter.

    Raises:
        UserError: While decoding: the file is damaged or ends before ``count``, or a sample is not
            a number on that scale.
    """
    place = first
    left = UNKNOWN_SAMPLES if count is None else count
    with parsing(
        lambda: f"{name}: after {place / decoder.samplerate:.3f} s",
        "sound: it is cut off or damaged",
        "expected a whole file; copy it again",
    ):
        _skip(decoder, first)
        while left:
            block = decoder.read(min(left, block_samples), dtype="float32", always_2d=True)
            if not len(block):
                break
            _check_numbers(block, name, place, decoder.samplerate)
            place, left = place + len(block), left - len(block)
            yield block
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


def _ends_ogg(tail: bytes) -> bool:
    """Return whether the last page is complete and marked as the last (RFC 3533, section 6)."""
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


def _reason(error: soundfile.LibsndfileError) -> str:
    text = error.error_string.removeprefix("Error : ").strip().rstrip(".")
    return "damaged or of an unknown kind" if "regular file" in text else text
