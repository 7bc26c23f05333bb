"""The commands on features and recordings: from a manifest to words with their times."""

import json

import numpy as np
import pytest
import soundfile
import torch

import kochi
from kochi.prediction import SourceError
from tests.hearing import FRAMES, RATE_HZ, frames_of, samples_of


@pytest.fixture
def letters(tmp_path):
    """Three files of features; return them by what they say."""
    paths = {word: tmp_path / f"{word}.npy" for word in ("abc", "c", "ba")}
    for word, path in paths.items():
        np.save(path, frames_of(word))
    return paths


def test_answers_in_the_order_of_the_files(kochi, heard, letters):
    result = kochi("predict", heard, *letters.values())
    assert result.lines == ["abc", "c", "ba"]
    names = "".join(f"{path}\n" for path in letters.values())
    assert kochi("predict", heard, stdin=names.encode()).lines == ["abc", "c", "ba"]
    assert kochi("predict", heard, "-", "--sample", stdin=names.encode()).code == 0


def test_an_archive_stands_for_its_arrays(kochi, heard, tmp_path):
    np.savez(tmp_path / "all.npz", x=frames_of("ca"), y=frames_of("b"))
    records = [
        json.loads(line) for line in kochi("predict", heard, "--json", tmp_path / "all.npz").lines
    ]
    assert [record["text"] for record in records] == ["ca", "b"]
    assert [record["source"] for record in records] == [
        f"{tmp_path / 'all.npz'}: '{key}'" for key in "xy"
    ]


def test_json_says_when(kochi, heard, letters):
    record = json.loads(kochi("predict", heard, "--json", letters["abc"]).out)
    assert record["tokens"] == ["a", "b", "c"]
    assert record["source_tokens"] == []
    assert [len(row) for row in record["alignment"]] == [3 * FRAMES // 2] * 3
    assert record["hop_seconds"] == pytest.approx(0.02)
    assert [one["text"] for one in record["times"]] == ["a", "b", "c"]
    ends = 0.0
    for one in record["times"]:
        assert ends <= one["start_seconds"] <= one["end_seconds"] <= 0.12
        ends = one["end_seconds"]
    [word] = record["words"]
    assert word["text"] == "abc"
    assert word["start_seconds"] == record["times"][0]["start_seconds"]
    assert word["end_seconds"] == record["times"][2]["end_seconds"]
    assert (
        kochi("predict", heard, "--format", "json", letters["abc"]).out == json.dumps(record) + "\n"
    )


def test_subtitles(kochi, heard, letters):
    srt = kochi("predict", heard, "--format", "srt", letters["abc"]).lines
    assert srt[0] == "1"
    assert srt[1].startswith("00:00:00,0") and " --> 00:00:00," in srt[1]
    assert srt[2] == "abc"
    assert kochi("predict", heard, "--format", "vtt", letters["abc"]).lines[0] == "WEBVTT"


def test_evaluation(kochi, heard, tmp_path):
    record = json.loads(kochi("evaluate", heard, "test", "--json").out)
    assert record["pairs"] == 10
    assert record["scores"]["cer"]["value"] == 0.0
    assert set(record["scores"]) == {"cer", "wer"}
    (tmp_path / "a.tsv").write_text("id\ttext\nx\tab\ny\tc\n")
    np.savez(tmp_path / "a.npz", x=frames_of("ab"), y=frames_of("b"))
    result = kochi("evaluate", heard, tmp_path / "a.tsv", tmp_path / "a.npz", "--json")
    assert json.loads(result.out)["scores"]["wer"]["value"] == 50.0


def test_the_library_takes_arrays_and_rows(heard):
    model = kochi.load(heard, device="cpu")
    arrays = [frames_of("ab"), torch.from_numpy(frames_of("c"))]
    together = model.predict(arrays, need_alignment=True)
    assert [prediction.text for prediction in together] == ["ab", "c"]
    assert together[0].source == "array of shape (8, 5)"
    assert together[0].unknown == ()
    alone = model.predict(arrays[1:], need_alignment=True)[0]
    assert alone.alignment is not None and together[1].alignment is not None
    assert torch.allclose(alone.alignment, together[1].alignment, atol=1e-5)
    assert isinstance(alone, kochi.FeaturesPrediction) and alone.times is not None
    assert isinstance(together[1], kochi.FeaturesPrediction) and together[1].times is not None
    for one, other in zip(alone.times, together[1].times, strict=True):
        assert one.text == other.text
        assert one.start_seconds == pytest.approx(other.start_seconds, abs=1e-4)
        assert one.end_seconds == pytest.approx(other.end_seconds, abs=1e-4)
    without = model.predict(arrays)[0]
    assert isinstance(without, kochi.FeaturesPrediction) and without.times is None
    with pytest.raises(SourceError, match=r"sources\[1\]: array of shape \(4, 3\): frames have 3"):
        model.predict([frames_of("a"), np.ones((4, 3))])


def test_recordings_end_to_end(kochi, sound_task, tmp_path):
    result = kochi("train", sound_task, "--set", "training.max_steps=4")
    assert result.code == 0, result.err
    model = sound_task.parent / "model"
    soundfile.write(tmp_path / "a.flac", samples_of("abc"), RATE_HZ)
    twice = np.repeat(samples_of("abc"), 2)  # at twice the rate, in two channels
    soundfile.write(tmp_path / "b.wav", np.stack([twice, twice], axis=1), 2 * RATE_HZ)
    result = kochi("predict", model, tmp_path / "a.flac", tmp_path / "b.wav", "--json")
    records = [json.loads(line) for line in result.lines]
    assert [record["source"] for record in records] == [
        str(tmp_path / "a.flac"),
        str(tmp_path / "b.wav"),
    ]
    assert all(record["words"] is not None for record in records)
    record = json.loads(kochi("evaluate", model, "test", "--json").out)
    assert record["pairs"] == 10
