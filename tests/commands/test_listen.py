"""``kochi predict --stream``."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from tests.commands.test_bad_input import complaint
from tests.hearing import RATE_HZ, samples_of


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "bca.wav"
    soundfile.write(path, samples_of("bca"), RATE_HZ)
    return path


def test_a_recording_takes_the_time_it_lasts(kochi, streamer, recording):
    began = time.monotonic()
    result = kochi("predict", streamer, recording, "--stream")
    assert result.code == 0, result.err
    assert time.monotonic() - began >= 0.24
    assert result.lines == ["bca"]
    assert result.err.startswith("kochi: 0.2 s of sound, 3 tokens; latency: mean ")
    assert "computing took" in result.err


def test_the_stream_says_what_the_whole_recording_says(kochi, streamer, recording):
    whole = kochi("predict", streamer, recording, "--beam", 1).out
    assert kochi("predict", streamer, recording, "--stream", "--fast").out == whole == "bca\n"


def test_bare_samples_from_a_pipe(kochi, streamer):
    samples = samples_of("cab")
    result = kochi("predict", streamer, "--stream", "--pcm", RATE_HZ, stdin=samples.tobytes())
    assert result.code == 0, result.err
    assert result.lines == ["cab"]
    twice = np.repeat(samples, 2).tobytes()
    result = kochi("predict", streamer, "-", "--stream", "--pcm", 2 * RATE_HZ, stdin=twice)
    assert result.lines == ["cab"]


def test_words_come_before_the_pipe_ends(streamer):
    """Half of the sound is sent, its words are read, then the rest."""
    command = [sys.executable, "-m", "kochi", "predict", str(streamer)]
    options = ["--stream", "--pcm", str(RATE_HZ)]
    with subprocess.Popen([*command, *options], stdin=-1, stdout=-1, stderr=-1) as running:
        assert running.stdin and running.stdout
        data = samples_of("abc").tobytes()
        running.stdin.write(data[: len(data) // 2])
        running.stdin.flush()
        assert running.stdout.read(1) == b"a"
        running.stdin.write(data[len(data) // 2 :])
        running.stdin.close()
        assert running.stdout.read() == b"bc\n"
        assert running.wait() == 0
        assert running.stderr
        running.stderr.close()


def test_json_says_where_and_how_late(kochi, streamer, recording):
    result = kochi("predict", streamer, recording, "--stream", "--fast", "--json")
    records = [json.loads(line) for line in result.lines]
    assert [record["text"] for record in records] == ["b", "c", "a", ""]
    assert [record["ends"] for record in records] == [False, False, False, True]
    for record in records[:3]:
        assert record["look_seconds"] <= record["heard_seconds"] <= 0.241
        assert record["latency_seconds"] >= record["heard_seconds"] - record["look_seconds"] - 1e-3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--fast",), "--pcm and --fast only with --stream"),
        (("--stream", "--beam", 2), "--stream goes with --json, --pcm, --fast"),
        (("--stream", "--format", "srt"), "--stream goes with --json, --pcm, --fast"),
        (("--stream", "--fast"), "standard input comes as it comes"),
        (("--stream", "--pcm", 8000, "a.wav"), "bare samples come from standard input"),
        (("--stream", "a.wav", "b.wav"), "expected one FILE or -, found 2"),
        (("--stream", "none.wav"), "none.wav: no such file"),
        (("--stream", "--pcm", 8000), "standard input: found nothing; expected 16-bit samples"),
    ],
)
def test_what_does_not_go_together(kochi, streamer, arguments, expected):
    assert expected in complaint(kochi("predict", streamer, *arguments))


def test_half_a_sample(kochi, streamer):
    data = samples_of("ab").tobytes()[:-1]
    line = complaint(kochi("predict", streamer, "--stream", "--pcm", RATE_HZ, stdin=data))
    assert "found half a sample at the end" in line


def test_models_that_read_whole_recordings(kochi, listener, recording):
    line = complaint(kochi("predict", listener, recording, "--stream"))
    assert "this model cannot listen: model.first_state = 'summary'" in line or (
        "this model cannot listen: model.attention.selection" in line
    )
