"""Run files for recordings and features are found, complete, and train."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from kochi import config
from kochi.errors import UserError
from kochi.modalities.audio.tables import SoundData
from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.media import find_media
from kochi.modalities.detection.start import start
from kochi.modalities.features.tables import FeaturesData
from kochi.modalities.pairs import read_pairs
from tests.hearing import RATE_HZ, WORDS, frames_of, samples_of, write_features, write_sounds

SMALL = ["model.hidden_size=8", "model.encoder.hidden_size=8", "training.max_steps=2"]


def counts(run_file):
    run = config.read_run(run_file)
    splits = ("train", "dev", "test")
    return [sum(1 for _ in read_pairs(run.data, split)) for split in splits]


def check_trains(kochi, run_file):
    changes = [part for change in SMALL for part in ("--set", change)]
    result = kochi("train", run_file, *changes)
    assert result.code == 0, result.err


def test_a_manifest_with_a_column_of_splits(kochi, tmp_path):
    write_sounds(tmp_path)
    started = start(tmp_path / "all.tsv", tmp_path / "new.toml", "out")
    assert (started.kind, started.num_pairs) == ("sound", 39)
    run = config.read_run(tmp_path / "new.toml")
    assert isinstance(run.data, SoundData)
    assert run.data.split_column == "split"
    assert run.data.front_end.sample_rate_hz == RATE_HZ
    assert counts(tmp_path / "new.toml") == [39, 10, 10]
    check_trains(kochi, tmp_path / "new.toml")


def test_a_manifest_in_one_piece_is_split(kochi, tmp_path):
    write_sounds(tmp_path)
    lines = [f"{word}.wav\tone {word}" for word in WORDS]
    (tmp_path / "all.tsv").write_text("\n".join(["file\ttranscript", *lines]) + "\n")
    started = start(tmp_path / "all.tsv", tmp_path / "new.toml", "out")
    assert any("no dev data found" in note for note in started.notes)
    assert counts(tmp_path / "new.toml") == [37, 1, 1]
    check_trains(kochi, tmp_path / "new.toml")


def test_rows_of_train_alone_are_split_and_test_rows_stay(tmp_path):
    write_sounds(tmp_path)
    text = (tmp_path / "all.tsv").read_text()
    kept = [line for line in text.splitlines() if "\tdev\t" not in line]
    (tmp_path / "all.tsv").write_text("\n".join(kept) + "\n")
    start(tmp_path / "all.tsv", tmp_path / "new.toml", "out")
    assert counts(tmp_path / "new.toml") == [38, 1, 10]


def test_files_that_are_joined(kochi, tmp_path):
    write_sounds(tmp_path)
    rows = [json.dumps({"path": f"{a}.wav {b}.wav", "text": a + b}) for a in "abc" for b in WORDS]
    (tmp_path / "joined.jsonl").write_text("\n".join(rows) + "\n")
    (tmp_path / "all.tsv").unlink()
    found = find_media(tmp_path, Choices())
    assert found is not None
    assert (found.joined_by, found.folder) == (" ", tmp_path / "wav")
    start(tmp_path, tmp_path / "new.toml", "out")
    assert counts(tmp_path / "new.toml") == [117 - 10, 5, 5]
    check_trains(kochi, tmp_path / "new.toml")


def test_a_folder_with_text_beside_the_recordings(kochi, tmp_path):
    for word in WORDS:
        soundfile.write(tmp_path / f"{word}.flac", samples_of(word), RATE_HZ)
        (tmp_path / f"{word}.txt").write_text(f"{word}\n")
    start(tmp_path, tmp_path / "run.toml", "out")
    assert counts(tmp_path / "run.toml") == [37, 1, 1]
    check_trains(kochi, tmp_path / "run.toml")


def test_a_folder_below_the_one_that_the_command_runs_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("recordings")
    (folder / "deeper").mkdir(parents=True)
    for word in WORDS:
        soundfile.write(folder / "deeper" / f"{word}.wav", samples_of(word), RATE_HZ)
        (folder / "deeper" / f"{word}.txt").write_text(f"{word}\n")
    start(folder, Path("run.toml"), "out")
    assert counts(Path("run.toml")) == [37, 1, 1]


def test_a_folder_of_splits(tmp_path):
    for split in ("train", "dev", "test"):
        (tmp_path / split).mkdir()
        for word in WORDS[: 9 if split == "train" else 2]:
            soundfile.write(tmp_path / split / f"{word}.wav", samples_of(word), RATE_HZ)
            (tmp_path / split / f"{word}.txt").write_text(f"{word}\n")
    start(tmp_path, tmp_path / "run.toml", "out")
    assert counts(tmp_path / "run.toml") == [9, 2, 2]


def test_features_beside_a_manifest(kochi, tmp_path):
    write_features(tmp_path)
    for split in ("train", "dev"):
        arrays: dict[str, Any] = {f"row-{word}": frames_of(word) for word in WORDS}
        np.savez(tmp_path / f"{split}.npz", **arrays)
    start(tmp_path, tmp_path / "new.toml", "out")
    run = config.read_run(tmp_path / "new.toml")
    assert isinstance(run.data, FeaturesData)
    assert run.data.test is None
    check_trains(kochi, tmp_path / "new.toml")
    (tmp_path / "dev.tsv").unlink()
    start(tmp_path / "train.tsv", tmp_path / "other.toml", "out")
    assert counts(tmp_path / "other.toml") == [37, 1, 1]


def test_text_is_left_to_those_who_read_text(tmp_path):
    assert find_media(tmp_path, Choices()) is None
    (tmp_path / "a.tsv").write_text("source\ttarget\na\tb\n")
    assert find_media(tmp_path, Choices()) is None
    (tmp_path / "a.tsv").write_text("a\tb\nc\n")
    assert find_media(tmp_path / "a.tsv", Choices()) is None


def test_what_can_be_wrong(tmp_path):
    (tmp_path / "a.tsv").write_text("audio\tdate\nx.wav\t2024-01-02\n")
    with pytest.raises(UserError, match=r"a\.tsv: x\.wav is neither in .* nor in a folder of it"):
        find_media(tmp_path, Choices())
    soundfile.write(tmp_path / "x.wav", samples_of("a"), RATE_HZ)
    with pytest.raises(UserError, match=r"a\.tsv:1: found column .* but no text"):
        find_media(tmp_path, Choices())
    (tmp_path / "a.tsv").write_text("audio\ttext\nx.wav\tb\n")
    started = start(tmp_path, tmp_path / "run.toml", "out")
    assert any("1 different sources are too few to set some" in note for note in started.notes)
    (tmp_path / "run.toml").unlink()
    (tmp_path / "b.tsv").write_text("audio\ttext\nx.wav\tb\n")
    with pytest.raises(UserError, match=r"holds several manifests \(a\.tsv, b\.tsv\); name one"):
        start(tmp_path, tmp_path / "run.toml", "out")
