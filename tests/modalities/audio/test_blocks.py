import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from kochi.errors import UserError
from kochi.modalities.audio.blocks import read_blocks
from kochi.modalities.audio.files import Recording, read_recording
from kochi.modalities.audio.mel import MelOptions, log_mel, next_log_mel
from tests.modalities.audio.sounds import noise, sine, write


@contextmanager
def pipe(content: bytes) -> Iterator[io.BufferedReader]:
    """What standard input is when another program writes to it, slowly."""
    reading, writing = os.pipe()

    def pour() -> None:
        try:
            for start in range(0, len(content), 5000):
                os.write(writing, content[start : start + 5000])
        except BrokenPipeError:
            pass
        finally:
            os.close(writing)

    thread = threading.Thread(target=pour)
    thread.start()
    try:
        with os.fdopen(reading, "rb") as stream:
            yield stream
    finally:
        thread.join()


def stereo(rate: int) -> np.ndarray:
    return np.stack([sine(1.5, rate), noise(1.5, rate)], axis=1)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("to_rate", [8000, 16_000, 22_050])
def test_blocks_of_a_file_are_the_recording(tmp_path, ending, to_rate):
    path = write(tmp_path / f"a.{ending}", stereo(16_000), 16_000)
    blocks = list(read_blocks(path, to_rate, 0.07))
    assert len(blocks) > 5
    whole = read_recording(Recording((path,)), to_rate)
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


@pytest.mark.parametrize("ending", ["wav", "au", "ogg"])
def test_blocks_of_a_pipe_are_the_recording(tmp_path, ending):
    path = write(tmp_path / f"a.{ending}", stereo(16_000), 16_000)
    with pipe(path.read_bytes()) as stream:
        blocks = list(read_blocks(stream, 8000))
    np.testing.assert_array_equal(np.concatenate(blocks), read_recording(Recording((path,)), 8000))


def test_a_block_comes_before_the_next_is_written(tmp_path):
    samples = (1000 * np.sin(np.arange(16_000))).astype(np.int16)
    content = write(tmp_path / "a.wav", samples, 16_000).read_bytes()
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as sink:
        sink.write(content[: 44 + 2 * 1600])
        blocks = read_blocks(stream, 16_000, 0.1)
        np.testing.assert_array_equal(next(blocks), samples[:1600])
        sink.write(content[44 + 2 * 1600 : 44 + 2 * 2000])
        sink.close()
        np.testing.assert_array_equal(next(blocks), samples[1600:2000])
        assert list(blocks) == []


def test_frames_of_a_stream_are_those_of_the_file_to_the_last_bit(tmp_path):
    path = write(tmp_path / "a.wav", stereo(44_100), 44_100)
    options = MelOptions()
    rest, found = None, []
    for block in read_blocks(path, 16_000, 0.05):
        frames, rest = next_log_mel(torch.from_numpy(block), rest, options)
        found.append(frames)
    whole = torch.from_numpy(read_recording(Recording((path,)), 16_000))
    assert torch.equal(torch.cat(found), log_mel(whole, options))


def test_what_is_wrong_with_a_stream_is_one_line(tmp_path):
    with pipe(b"words\n" * 1000) as stream, pytest.raises(UserError) as caught:
        list(read_blocks(stream, 8000))
    expected = r"standard input: cannot be read as sound (Format not recognised); expected a wav"
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "standard input: cannot be read as sound"),
        (b"wav", "standard input: holds no samples; expected at least one"),
        (b"mp3", "standard input: mp3 cannot be read from a pipe; expected wav or ogg"),
    ],
)
def test_streams_that_cannot_be_read(tmp_path, content, message):
    if content == b"wav":
        content = write(tmp_path / "a.wav", np.zeros(0, np.int16), 8000).read_bytes()
    if content == b"mp3":
        content = write(tmp_path / "a.mp3", noise(1.0, 8000), 8000).read_bytes()
    with pipe(content) as stream, pytest.raises(UserError, match=message):
        list(read_blocks(stream, 8000))


def test_bytes_without_a_file():
    with pytest.raises(UserError, match="has no file behind it; expected a file or a pipe"):
        list(read_blocks(io.BytesIO(b"RIFF"), 8000))


def test_a_missing_file():
    with pytest.raises(UserError, match=r"none\.wav: no such file"):
        list(read_blocks(Path("none.wav"), 8000))


@pytest.mark.parametrize(("rate", "seconds"), [(0, 0.1), (8000, 0.0)])
def test_options_that_cannot_be_are_refused_at_once(rate, seconds):
    with pytest.raises(ValueError, match="must be positive, got"):
        read_blocks(Path("none.wav"), rate, seconds)
