import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kochi.errors import UserError
from kochi.modalities.audio.blocks import read_blocks
from kochi.modalities.audio.files import Recording, SoundWarning, duration_seconds, read_recording
from kochi.modalities.audio.resampling import to_int16
from tests.modalities.audio.sounds import chirp, noise, sine, write

RATE = 8000


def recording(*paths: Path, start: float | None = None, end: float | None = None) -> Recording:
    return Recording(paths, start, end)


def ramp(count: int, rate: int = RATE) -> np.ndarray:
    """16-bit samples that all differ from their neighbours."""
    return ((np.arange(count) * 37) % 20011 - 10000).astype(np.int16)


def overwrite(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# ------------------------------------------------------------------------------------------ right


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_16_bits_at_the_rate_come_as_they_are(tmp_path, ending):
    path = write(tmp_path / f"a.{ending}", ramp(4000), RATE)
    read = read_recording(recording(path), RATE)
    assert read.dtype == np.int16
    np.testing.assert_array_equal(read, ramp(4000))


@pytest.mark.parametrize(
    ("ending", "subtype"),
    [
        ("wav", "PCM_U8"),
        ("wav", "PCM_24"),
        ("wav", "FLOAT"),
        ("wav", "DOUBLE"),
        ("wav", "ULAW"),
        ("aiff", None),
        ("flac", None),
        ("ogg", "VORBIS"),
        ("ogg", "OPUS"),
        ("mp3", None),
    ],
)
def test_every_format_brings_the_tone_at_its_length(tmp_path, ending, subtype):
    tone = sine(1.0, 16_000)
    path = write(tmp_path / f"a.{ending}", tone, 16_000, subtype)
    read = read_recording(recording(path), 16_000) / 32768
    assert len(read) == 16_000
    inner = slice(1600, -1600)  # the lossy ones sound different at the ends
    assert np.abs(read - tone)[inner].max() < 0.03
    assert duration_seconds(recording(path)) == 1.0


def test_mp3_in_blocks_is_the_whole(tmp_path):
    """soundfile seeks between the blocks of a file that can seek, which damages mp3."""
    path = write(tmp_path / "a.mp3", noise(10.0, 16_000), 16_000)
    expected = to_int16(soundfile.read(path, dtype="float32")[0]).astype(int)
    found = np.concatenate(list(read_blocks(path, 16_000, 0.0625)))
    assert np.abs(found - expected).max() <= 1  # it seeks to the start, too: the last float32 bit


def test_channels_are_averaged(tmp_path):
    left, right = ramp(1000), np.full(1000, 1000, np.int16)
    path = write(tmp_path / "a.wav", np.stack([left, right], 1), RATE)
    expected = np.rint((left.astype(float) + right) / 2).astype(np.int16)
    np.testing.assert_array_equal(read_recording(recording(path), RATE), expected)


@pytest.mark.parametrize(("rate", "count"), [(16_000, 8000), (8000, 4000), (11_025, 5513)])
def test_any_rate_is_brought_to_the_one_asked_for(tmp_path, rate, count):
    path = write(tmp_path / "a.wav", sine(0.5, 44_100, 300.0), 44_100, "FLOAT")
    read = read_recording(recording(path), rate) / 32768
    assert len(read) == count
    expected = 0.5 * np.sin(2 * np.pi * 300 * np.arange(count) / rate)
    inner = slice(count // 10, -count // 10)
    assert np.abs(read - expected)[inner].max() < 1e-4


def test_start_and_end_cut_out_the_samples_between(tmp_path):
    path = write(tmp_path / "a.flac", ramp(8000), RATE)
    part = recording(path, start=0.25, end=0.5)
    np.testing.assert_array_equal(read_recording(part, RATE), ramp(8000)[2000:4000])
    assert duration_seconds(part) == 0.25
    rest = recording(path, start=0.75)
    np.testing.assert_array_equal(read_recording(rest, RATE), ramp(8000)[6000:])


@pytest.mark.parametrize("ending", ["ogg", "mp3"])
def test_a_part_of_a_lossy_file_is_that_part_of_the_whole(tmp_path, ending):
    path = write(tmp_path / f"a.{ending}", noise(2.0, 16_000), 16_000)
    all_of_it = read_recording(recording(path), 16_000).astype(int)
    part = read_recording(recording(path, start=0.5, end=1.5), 16_000).astype(int)
    assert np.abs(part - all_of_it[8000:24000]).max() <= 1  # mp3 differs in its last float32 bit


def test_files_are_joined_each_as_it_is_alone(tmp_path):
    first = write(tmp_path / "a.wav", ramp(1000), RATE)
    second = write(tmp_path / "b.flac", chirp(0.2, 16_000, 100.0, 900.0), 16_000)
    both = recording(first, second, first)
    alone = [read_recording(recording(path), RATE) for path in (first, second, first)]
    np.testing.assert_array_equal(read_recording(both, RATE), np.concatenate(alone))
    assert duration_seconds(both) == pytest.approx(0.45)


def test_start_and_end_count_over_the_joined_files(tmp_path):
    first = write(tmp_path / "a.wav", ramp(1000), RATE)
    second = write(tmp_path / "b.wav", ramp(500), RATE)
    part = recording(first, second, first, start=0.1, end=0.2)
    joined = np.concatenate([ramp(1000), ramp(500), ramp(1000)])
    np.testing.assert_array_equal(read_recording(part, RATE), joined[800:1600])
    late = recording(first, second, start=0.15)
    np.testing.assert_array_equal(read_recording(late, RATE), ramp(500)[200:])


def test_an_end_rounded_up_a_little_is_the_end_of_the_file(tmp_path):
    path = write(tmp_path / "a.wav", ramp(8000), RATE)
    assert len(read_recording(recording(path, end=1.09), RATE)) == 8000


def test_a_flac_that_does_not_say_its_length_is_counted(tmp_path):
    path = write(tmp_path / "a.flac", ramp(8000), RATE)
    raw = bytearray(path.read_bytes())
    raw[21] &= 0xF0  # the 36 bits of the number of samples, in the first metadata block
    raw[22:26] = bytes(4)
    overwrite(path, bytes(raw))
    assert duration_seconds(recording(path)) == 1.0
    part = read_recording(recording(path, start=0.5), RATE)
    np.testing.assert_array_equal(part, ramp(8000)[4000:])


def test_a_wav_written_through_a_pipe_announces_no_length(tmp_path):
    path = write(tmp_path / "a.wav", ramp(8000), RATE)
    raw = bytearray(path.read_bytes())
    place = raw.index(b"data") + 4
    raw[place : place + 4] = raw[4:8] = b"\xff\xff\xff\xff"
    overwrite(path, bytes(raw))
    np.testing.assert_array_equal(read_recording(recording(path), RATE), ramp(8000))


# ------------------------------------------------------------------------------------------ wrong


def refuse(message: str, wrong: Recording, **options) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_recording(wrong, RATE, **options)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    refuse(r"none\.wav: no such file; expected a file of sound", recording(tmp_path / "none.wav"))


def test_a_folder(tmp_path):
    refuse("is a folder; expected a file of sound", recording(tmp_path))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = write(tmp_path / "a.wav", ramp(100), RATE)
    path.chmod(0)
    refuse(r"a\.wav: cannot be opened: .*Permission denied", recording(path))


def test_a_name_that_no_file_can_have(tmp_path):
    refuse("cannot be opened: .*embedded null", recording(tmp_path / "a\0.wav"))


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.raw", "a"])
def test_text_is_not_sound(tmp_path, name):
    path = overwrite(tmp_path / name, b"Those are words.\n" * 100)
    refuse(
        f"{name}: cannot be read as sound .*expected a whole wav, flac, ogg or mp3 file; copy it "
        "again, or convert it to wav",
        recording(path),
    )


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_an_empty_file(tmp_path, name):
    refuse(
        r"is empty \(0 bytes\); expected a file of sound",
        recording(overwrite(tmp_path / name, b"")),
    )


@pytest.mark.parametrize("name", ["a.wav", "a.ogg"])
def test_no_samples(tmp_path, name):
    path = write(tmp_path / name, np.zeros(0, np.float32), RATE)
    refuse(f"{name}: holds no samples; expected at least one; leave it out", recording(path))


@pytest.mark.parametrize("ending", ["wav", "aiff", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_file(tmp_path, ending, share, capfd):
    path = write(tmp_path / f"a.{ending}", noise(2.0, RATE), RATE)
    raw = path.read_bytes()
    overwrite(path, raw[: int(share * len(raw))])
    refuse(
        r"a\.\w+: (is cut off|cannot be read as sound \(damaged|.*it is cut off or damaged)",
        recording(path),
    )


def test_a_truncated_file_says_what_was_found_and_what_is_missing(tmp_path):
    path = write(tmp_path / "a.wav", ramp(8000), RATE)
    overwrite(path, path.read_bytes()[:-1000])
    refuse(
        "is cut off: found 15000 bytes of sound, expected 16000 from its header; copy the file",
        recording(path),
    )
    path = write(tmp_path / "a.mp3", noise(2.0, RATE), RATE)
    overwrite(path, path.read_bytes()[:-1000])
    refuse(r"cut off: found 1\.\d+ s of sound, expected 2\.000 s from its header", recording(path))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(tmp_path, value):
    samples = sine(0.5, RATE)
    samples[2000:2003] = value
    path = write(tmp_path / "a.wav", samples, RATE, "FLOAT")
    refuse(
        rf"sample 2001 \(at 0\.250 s\) is {value}; expected numbers from -1 to 1", recording(path)
    )
    assert len(read_recording(recording(path, end=0.25), RATE)) == 2000  # it lies behind


def test_whole_numbers_saved_as_floats(tmp_path):
    path = write(tmp_path / "a.wav", 20_000 * sine(0.5, RATE), RATE, "FLOAT")
    refuse(r"samples reach \d+.*expected numbers from -1 to 1; divide by the full", recording(path))


@pytest.mark.parametrize(("start", "end"), [(2.0, 1.0), (1.0, 1.0), (-1.0, 1.0), (np.nan, 1.0)])
def test_a_start_that_is_not_before_the_end(start, end):
    with pytest.raises(
        UserError, match=rf"a\.wav: found start {start:g} s, end 1 s; expected 0 <="
    ):
        recording(Path("a.wav"), start=start, end=end)


def test_a_start_that_is_no_time():
    with pytest.raises(UserError, match=r"a\.wav: found start inf s; expected 0 <= start < end"):
        recording(Path("a.wav"), start=float("inf"))


def test_no_paths():
    with pytest.raises(ValueError, match="paths: expected at least one file"):
        recording()


def test_an_end_or_start_beyond_the_file(tmp_path):
    path = write(tmp_path / "a.wav", ramp(8000), RATE)
    message = r"a\.wav: {} s is beyond the end of the sound; it is 1\.000 s long; correct the {}"
    refuse(message.format(r"end 1\.2", "end"), recording(path, end=1.2))
    refuse(message.format("start 1", "start"), recording(path, start=1.0, end=1.05))
    joined = r"a\.wav \(and 1 joined to it\): end 3 s .* it is 2\.000 s long"
    refuse(joined, recording(path, path, end=3.0))


def test_a_part_between_two_samples(tmp_path):
    path = write(tmp_path / "a.wav", ramp(8000), RATE)
    refuse(
        "no sample lies between start 0.5 s and end 0.50001 s",
        recording(path, start=0.5, end=0.50001),
    )


def test_an_hour_long_file_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = write(tmp_path / "a.flac", np.zeros(3600 * 1000, np.int16), 1000)
    monkeypatch.setattr("kochi.modalities.audio.decoding.decode", None)
    refuse(
        r"a\.flac: lasts 3600\.0 s; expected at most 120 s \(max_seconds\); give start and end",
        recording(path),
    )
    refuse(
        r"lasts 3000\.0 s; expected at most 60 s", recording(path, start=600.0), max_seconds=60.0
    )
    assert duration_seconds(recording(path)) == 3600


def test_an_utterance_of_an_hour_long_file_is_read(tmp_path):
    path = write(tmp_path / "a.flac", np.tile(ramp(1000), 3600), 1000)
    part = read_recording(recording(path, start=3000.5, end=3001.0), 1000)
    np.testing.assert_array_equal(part, ramp(1000)[500:])


def test_a_rate_that_cannot_be(tmp_path):
    with pytest.raises(ValueError, match="sample_rate_hz must be at least 1, got 0"):
        read_recording(recording(tmp_path / "a.wav"), 0)


def test_nothing_is_left_after_resampling(tmp_path):
    path = write(tmp_path / "a.wav", ramp(1), 48_000)
    refuse("holds no samples at 8000 Hz; expected at least one", recording(path))


# --------------------------------------------------------------------------------------- doubtful


def test_clipped_samples_are_a_warning(tmp_path):
    loud = np.clip(2 * np.sin(np.arange(8000) / 9), -1, 1)
    path = write(tmp_path / "a.wav", loud, RATE)
    with pytest.warns(SoundWarning, match=r"a\.wav: 6\d\.\d % of the samples are clipped"):
        read_recording(recording(path), RATE)


def test_one_loud_channel_is_clipped_whatever_the_mean(tmp_path):
    left = np.full(100, 32767, np.int16)
    path = write(tmp_path / "a.wav", np.stack([left, ramp(100)], 1), RATE)
    lines: list[str] = []
    read_recording(recording(path), RATE, warn=lines.append)
    assert len(lines) == 1 and "100.0 % of the samples are clipped" in lines[0]


@pytest.mark.parametrize(
    "samples",
    [
        np.sin(np.arange(8000) / 9),  # its peaks touch full scale, one or two samples each
        np.where(np.arange(8000) // 3 == 1300, 1.0, 0.1 * np.sin(np.arange(8000) / 9)),  # 3 alone
    ],
)
def test_peaks_that_only_touch_full_scale_are_right(tmp_path, samples):
    path = write(tmp_path / "a.wav", samples, RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_recording(recording(path), RATE)


@pytest.mark.parametrize("level", [0, 500])
def test_silence_is_a_warning(tmp_path, level):
    samples = level + np.arange(800, dtype=np.int16) % 3
    path = write(tmp_path / "a.wav", samples.astype(np.int16), RATE)
    with pytest.warns(SoundWarning, match=r"a\.wav: is silent; expected speech"):
        assert len(read_recording(recording(path), RATE)) == 800


def test_channels_that_cancel_are_silence(tmp_path):
    path = write(tmp_path / "a.wav", np.stack([ramp(800), -ramp(800)], 1), RATE)
    with pytest.warns(SoundWarning, match="is silent"):
        read_recording(recording(path), RATE)


def test_a_quiet_voice_is_not_silence(tmp_path):
    path = write(tmp_path / "a.wav", sine(0.5, RATE, peak=0.001), RATE)
    lines: list[str] = []
    read_recording(recording(path), RATE, warn=lines.append)
    assert not lines


def test_a_header_that_was_never_completed(tmp_path):
    whole = write(tmp_path / "a.wav", ramp(1000), RATE)
    content = bytearray(whole.read_bytes())
    place = content.index(b"data") + 4
    content[4:8] = content[place : place + 4] = bytes(4)
    (tmp_path / "b.wav").write_bytes(content)
    first, second = (recording(tmp_path / name) for name in ("a.wav", "b.wav"))
    np.testing.assert_array_equal(read_recording(second, RATE), read_recording(first, RATE))
    assert duration_seconds(second) == duration_seconds(first)


def test_an_empty_sound_with_notes_holds_no_samples(tmp_path):
    content = bytearray(write(tmp_path / "a.wav", ramp(1), RATE).read_bytes())
    place = content.index(b"data")
    notes = b"LIST" + (4).to_bytes(4, "little") + b"INFO"
    (tmp_path / "b.wav").write_bytes(bytes(content[: place + 4]) + bytes(4) + notes)
    with pytest.raises(UserError, match="holds no samples"):
        read_recording(recording(tmp_path / "b.wav"), RATE)
