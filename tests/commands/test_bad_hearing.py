"""What the user can get wrong about features and recordings: one line, exit code 2."""

import shutil

import numpy as np
import pytest
import soundfile

from tests.commands.test_bad_input import complaint, replace
from tests.hearing import RATE_HZ, frames_of, samples_of

REFUSE = ("--set", "data.bad_rows=refuse")


def change_array(task, key, array):
    path = task.parent / "all.npz"
    with np.load(path) as arrays:
        changed = {name: arrays[name] for name in arrays.files}
    np.savez(path, **{**changed, key: array})


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.ones((4, 7)), "frames have 7 numbers, expected 5, as in training"),
        (np.full((4, 5), np.nan), "frame 1 of 4 holds NaN or infinity"),
        (np.ones((0, 5)), "holds no frames"),
        (np.ones((1, 5)), "has 1 frames, but its text has 2 tokens"),
        (np.ones((12_001, 5)), "12001 frames are 120.0 s; expected at most 120 s"),
    ],
)
def test_features(kochi, features_task, array, expected):
    change_array(features_task, "row-ab", array)
    line = complaint(kochi("train", features_task, *REFUSE))
    assert expected in line
    assert "train.tsv:6: " in line and "'row-ab'" in line


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("row-ab\tab\n", "row-ab\t\n", "train.tsv:6: 'text' is empty"),
        ("row-ab\tab\n", "row-ab\n", "train.tsv:6: found 1 cells, expected 2"),
        ("row-ab\tab\n", "row-xy\tab\n", "train.tsv:6: "),
        ("id\ttext", "key\ttext", "train.tsv:2: column 'id' is missing; found: key, text"),
    ],
)
def test_manifests_of_features(kochi, features_task, old, new, expected):
    replace(features_task.parent / "train.tsv", old, new)
    assert expected in complaint(kochi("train", features_task, *REFUSE))


def test_features_that_are_not_there(kochi, features_task):
    (features_task.parent / "all.npz").unlink()
    assert "all.npz: no such file" in complaint(kochi("train", features_task, *REFUSE))


def test_dev_features(kochi, features_task):
    replace(features_task.parent / "dev.tsv", "row-a\ta\n", "row-a\taaaaaaa\n")
    line = complaint(kochi("train", features_task, *REFUSE))
    assert "dev.tsv:2: " in line and "has 4 frames, but its text has 7 tokens" in line


def test_predicting_features(kochi, heard, tmp_path):
    np.save(tmp_path / "good.npy", frames_of("ab"))
    np.save(tmp_path / "bad.npy", np.ones((3, 4)))
    result = kochi("predict", heard, "--strict", tmp_path / "good.npy", tmp_path / "bad.npy")
    assert complaint(result).endswith(
        "bad.npy: frames have 4 numbers, expected 5, as in training; compute them in the same way"
    )
    assert result.lines == ["ab"]
    assert "no.npy: no such file" in complaint(
        kochi("predict", heard, "--strict", tmp_path / "no.npy")
    )
    line = complaint(kochi("predict", heard, "--strict", stdin=b"no.npy\n"))
    assert "no.npy: no such file" in line
    good = tmp_path / "good.npy"
    line = complaint(kochi("predict", heard, "--format", "srt", good, good))
    assert "--format srt: expected one FILE, a recording" in line


def test_formats_of_text(kochi, tiny, tmp_path):
    assert "a model of text hears nothing" in complaint(
        kochi("predict", tiny, "--format", "srt", stdin=b"a\n")
    )
    file = tmp_path / "a.txt"
    file.write_text("a\n")
    line = complaint(kochi("predict", tiny, file, file))
    assert "expected one FILE of text, found 2" in line


def test_a_damaged_reader_in_a_model_folder(kochi, heard, tmp_path):
    shutil.copytree(heard, tmp_path / "m", ignore=shutil.ignore_patterns("training"))
    (tmp_path / "m" / "source.json").write_text("{}")
    assert "source.json: " in complaint(kochi("predict", tmp_path / "m", "x.npy"))


# ------------------------------------------------------------------------------------- recordings


def _not_sound(path):
    path.write_text("this is no sound")


def _cut(path):
    path.write_bytes(path.read_bytes()[:600])


def _no_samples(path):
    soundfile.write(path, np.zeros(0, np.int16), RATE_HZ)


def _nan(path):
    soundfile.write(path, np.full(900, np.nan, np.float32), RATE_HZ, subtype="FLOAT")


def _short(path):
    soundfile.write(path, samples_of("a")[:150], RATE_HZ)


def _hour(path):
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, subtype="PCM_U8") as file:
        for _ in range(60):
            file.write(np.zeros(60 * RATE_HZ, np.int16))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda path: path.unlink(), "no such file"),
        (_not_sound, "ab.wav: "),
        (_cut, "ab.wav: "),
        (_no_samples, "holds no samples"),
        (_nan, "ab.wav: "),
        (_short, "150 samples are shorter than a window of 200"),
        (_hour, "lasts 3600.0 s; expected at most 120 s"),
    ],
)
def test_recordings(kochi, sound_task, change, expected):
    change(sound_task.parent / "wav" / "ab.wav")
    line = complaint(kochi("train", sound_task, *REFUSE))
    assert expected in line and "ab.wav: " in line


def test_silence_and_clipping_are_remarked_on(kochi, sound_task):
    path = sound_task.parent / "wav" / "ab.wav"
    soundfile.write(path, np.zeros(2000, np.int16), RATE_HZ)
    result = kochi("train", sound_task, "--set", "training.max_steps=1")
    assert result.code == 0, result.err
    assert "ab.wav: is silent" in result.err


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("ab.wav\ttrain\tab\n", "ab.wav\ttrain\t\n", "all.tsv:8: 'text' is empty"),
        ("audio\tsplit", "file\tsplit", "column 'audio' is missing; found: file, split, text"),
        ("a.wav\tdev", "a.wav\ttest", ""),
    ],
)
def test_manifests_of_recordings(kochi, sound_task, old, new, expected):
    if not expected:
        replace(sound_task, 'dev = "all.tsv"', 'dev = "none.tsv"')
        assert "none.tsv: no such file" in complaint(kochi("train", sound_task, *REFUSE))
        return
    replace(sound_task.parent / "all.tsv", old, new)
    assert expected in complaint(kochi("train", sound_task, *REFUSE))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("data.front_end.mel_bins=900", "data.front_end: mel_bins=900 is too many"),
        ("data.front_end.mel_bin=9", "unknown key data.front_end.mel_bin; did you mean mel_bins?"),
        ("model.tie_embeddings=all", "model: tie_embeddings = 'all' needs source tokens"),
        ("training.augmentation.speed=[1.0]", "did you mean speeds?"),
        ("data.splt_column=a", "unknown key data.splt_column; did you mean split_column?"),
    ],
)
def test_run_files_of_recordings(kochi, sound_task, change, expected):
    assert expected in complaint(kochi("train", sound_task, "--set", change))


def _clipped(path):
    loud = np.clip(6.0 * samples_of("abc").astype(np.float32), -32768, 32767)
    soundfile.write(path, np.tile(loud, 4).astype(np.int16), RATE_HZ)


def _silent(path):
    soundfile.write(path, np.zeros(4000, np.int16), RATE_HZ)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda path: None, "no such file"),
        (_not_sound, "cannot be read as sound"),
        (_no_samples, "holds no samples"),
        (_nan, "is nan; expected numbers from -1 to 1"),
        (_hour, "lasts 3600.0 s; expected at most 120 s"),
    ],
)
@pytest.mark.parametrize("verb", ["predict", "show"])
def test_answering_recordings(kochi, listener, tmp_path, change, expected, verb):
    change(tmp_path / "x.wav")
    strict = ["--strict"] if verb == "predict" else []
    line = complaint(kochi(verb, listener, tmp_path / "x.wav", *strict))
    assert "x.wav: " in line and expected in line


def test_a_recording_that_is_cut_off(kochi, listener, tmp_path):
    soundfile.write(tmp_path / "x.wav", samples_of("abcabc"), RATE_HZ)
    _cut(tmp_path / "x.wav")
    assert "x.wav: is cut off" in complaint(
        kochi("predict", listener, "--strict", tmp_path / "x.wav")
    )


@pytest.mark.parametrize(("change", "expected"), [(_clipped, "clipped"), (_silent, "is silent")])
def test_doubtful_recordings_are_answered_with_a_warning(
    kochi, listener, tmp_path, change, expected
):
    change(tmp_path / "x.wav")
    result = kochi("predict", listener, tmp_path / "x.wav")
    assert result.code == 0, result.err
    assert result.err.startswith("kochi: warning: ") and expected in result.err
    assert result.err.count(expected) == 1
