"""Recordings: headers and bodies of the formats of sound."""

import io
import struct
from pathlib import Path
from random import Random

import numpy as np
import soundfile

from tests.fuzz.case import Case
from tests.fuzz.mutate import WORDS, damage, pick
from tests.hearing import RATE_HZ, samples_of

FORMATS = (
    ("wav", "WAV", "PCM_16"),
    ("wav", "WAV", "FLOAT"),
    ("wav", "WAV", "ULAW"),
    ("flac", "FLAC", "PCM_16"),
    ("ogg", "OGG", "VORBIS"),
    ("mp3", "MP3", "MPEG_LAYER_III"),
    ("aiff", "AIFF", "PCM_16"),
    ("au", "AU", "PCM_16"),
)
RATES = (0, 1, 7, 8_000, 44_100, 384_000, 0x7FFFFFFF, 0xFFFFFFFF)
NAMES = ("x.wav", "x.wav", "x.flac", "x.ogg", "x.mp3", "x.npy", "x")


def recording(draw: Random) -> tuple[str, bytes]:
    """Return the name and the bytes of a recording that something may be wrong with."""
    samples = samples_of(draw.choice(("a", "ab", "c"))) / 32768
    if draw.random() < 0.35:
        return "x.wav", _wav(draw, samples)
    ending, form, subtype = pick(draw, FORMATS)
    if draw.random() < 0.1:
        samples = np.stack([samples, samples], axis=1)
    if subtype == "FLOAT" and draw.random() < 0.7:
        samples = samples.copy()
        samples[draw.randrange(len(samples))] = pick(draw, (np.nan, np.inf, 1e30, -1e30))
    file = io.BytesIO()
    rate = draw.choice((RATE_HZ, RATE_HZ, 16_000))
    soundfile.write(file, samples, rate, subtype, format=form)
    name = f"x.{ending}" if draw.random() < 0.8 else pick(draw, NAMES)
    content = file.getvalue()
    return name, damage(draw, content, 80) if draw.random() < 0.9 else content


def _wav(draw: Random, samples: np.ndarray) -> bytes:
    """Write a WAV file whose header may say anything."""
    body = (samples * 32767).astype("<i2").tobytes()[: draw.choice((0, 1, 7, 1280, 99_999))]
    code, channels, rate, width = 1, 1, RATE_HZ, 16
    size, total = len(body), 36 + len(body)
    for _ in range(draw.choice((1, 1, 2))):
        match draw.randrange(6):
            case 0:
                code = pick(draw, (0, 1, 2, 3, 6, 7, 17, 0x11, 0x55, 0xFFFE, 0xFFFF))
            case 1:
                channels = pick(draw, (0, 2, 3, 255, 1024, 65_535))
            case 2:
                rate = pick(draw, RATES)
            case 3:
                width = pick(draw, (0, 1, 8, 12, 24, 32, 64, 65_535))
            case 4:
                size = pick(draw, WORDS)
            case _:
                total = pick(draw, WORDS)
    block = channels * width // 8
    form = struct.pack(
        "<HHIIHH", code, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, width
    )
    extra = pick(
        draw, (b"", b"", b"LIST\xff\xff\xff\xff", b"fact\4\0\0\0\0\0\0\0", b"junk\0\0\0\0")
    )
    chunks = (
        b"fmt " + struct.pack("<I", 16) + form + extra + b"data" + struct.pack("<I", size) + body
    )
    return b"RIFF" + struct.pack("<I", total) + b"WAVE" + chunks


def make(draw: Random, seeds: Path, folder: Path) -> Case:
    """Ask a model of recordings."""
    model = str(seeds / "sound" / "model")
    name, content = recording(draw)
    (folder / name).write_bytes(content)
    match draw.randrange(10):
        case 0:
            return Case(["predict", model, "-"], content)
        case 1:
            return Case(["show", model, name])
        case 2:
            (folder / "x.tsv").write_text(f"audio\tsplit\ttext\n{folder / name}\ttest\ta\n")
            return Case(["evaluate", model, "x.tsv"])
        case _:
            return Case(
                ["predict", model, name, *pick(draw, ([], [], ["--json"], ["--with-names"]))]
            )
