"""Run files for pictures are found, complete, and train."""

import json

import numpy as np
import pytest

from kochi import config
from kochi.errors import UserError
from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.media import find_media
from kochi.modalities.detection.start import start
from kochi.modalities.image.tables import PictureData
from kochi.modalities.pairs import read_pairs
from tests.seeing import COLOURS, ROWS, picture_of, save, write_pictures

SMALL = [
    *("model.hidden_size=8", "model.embedding_size=8", "training.max_steps=2"),
    "model.encoder.channels=[4,8]",
]


def counts_of_splits(run_file):
    run = config.read_run(run_file)
    splits = ("train", "dev", "test")
    return [sum(1 for _ in read_pairs(run.data, split)) for split in splits]


def check_trains(kochi, run_file):
    changes = [part for change in SMALL for part in ("--set", change)]
    result = kochi("train", run_file, *changes)
    assert result.code == 0, result.err
    assert " test, or kochi predict " in result.out and result.lines[-1].endswith(" PICTURE.png")


def test_a_manifest_with_a_column_of_splits_and_boxes(kochi, tmp_path):
    write_pictures(tmp_path)
    started = start(tmp_path / "all.tsv", tmp_path / "new.toml", "out")
    assert (started.kind, started.num_pairs) == ("picture", len(ROWS))
    run = config.read_run(tmp_path / "new.toml")
    assert isinstance(run.data, PictureData)
    assert (run.data.split_column, run.data.boxes_column) == ("split", "boxes")
    assert (run.data.front_end.height, run.data.front_end.width) == (8, 24)
    assert run.data.front_end.fit == "shrink"  # three times as wide as high: a line
    assert run.data.target.tokens == "whitespace"
    assert counts_of_splits(tmp_path / "new.toml") == [len(ROWS), 10, 10]
    check_trains(kochi, tmp_path / "new.toml")


@pytest.mark.slow
def test_kochi_scenes_then_init_then_train(kochi, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert kochi("scenes", "shapes", "--train", 12, "--dev", 3, "--test", 4).code == 0
    result = kochi("init", "shapes")
    assert result.code == 0, result.err
    assert result.lines[-1] == "wrote run.toml; next: kochi train run.toml"
    assert "12 training pairs (picture)" in result.out
    assert "64 x 64 pixels, in colour" in result.out
    assert counts_of_splits(tmp_path / "run.toml") == [12, 3, 4]
    run = config.read_run(tmp_path / "run.toml")
    assert isinstance(run.data, PictureData)
    assert run.data.boxes_column == "boxes" and run.data.front_end.fit == "pad"
    check_trains(kochi, tmp_path / "run.toml")


def test_a_folder_in_one_piece_is_split_by_picture(kochi, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for names in ROWS:
        save(np.repeat(picture_of(names).mean(2, keepdims=True), 3, 2).astype(np.uint8),
             folder / f"{'-'.join(names)}.png")  # fmt: skip
        text = " ".join(names)
        (folder / f"{'-'.join(names)}.txt").write_text(f"{text}\n{text} block\n")
    started = start(folder, tmp_path / "new.toml", "out")
    assert "no dev data found" in started.notes[0]
    run = config.read_run(tmp_path / "new.toml")
    assert isinstance(run.data, PictureData)
    assert run.data.front_end.colour == "grey"
    assert counts_of_splits(tmp_path / "new.toml") == [2 * (len(ROWS) - 2), 1, 1]
    [dev] = read_pairs(run.data, "dev")
    assert len(dev.references) == 2
    check_trains(kochi, tmp_path / "new.toml")


def test_folders_that_are_splits(tmp_path):
    for split, names in zip(("train", "val"), (ROWS[:3], ROWS[3:5]), strict=True):
        (tmp_path / split).mkdir()
        for number, row in enumerate(names):
            save(picture_of(row), tmp_path / split / f"{number}.png")
            (tmp_path / split / f"{number}.txt").write_text(" ".join(row))
    found = find_media(tmp_path, Choices())
    assert found is not None
    assert found.splits == {"train": tmp_path / "train", "dev": tmp_path / "val"}


def test_json_manifests_and_columns_of_other_names(tmp_path):
    save(picture_of(("red",)), tmp_path / "a.png")
    rows = [{"file_name": "a.png", "caption": ["red", "a red block"]}] * 3
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = find_media(tmp_path, Choices())
    assert found is not None
    assert (found.source, found.text, found.boxes) == ("file_name", "caption", None)


def test_what_is_missing_is_said(tmp_path):
    (tmp_path / "a.tsv").write_text("image\twho\na.png\tme\n")
    with pytest.raises(UserError, match=r"a\.tsv: a\.png is neither in .* the pictures there"):
        find_media(tmp_path / "a.tsv", Choices())
    save(picture_of(("red",)), tmp_path / "a.png")
    (tmp_path / "a.tsv").write_text("image\tdate\na.png\t2024-01-02\n")
    with pytest.raises(UserError, match=r"a\.tsv:1: found column 'image' but no text"):
        find_media(tmp_path / "a.tsv", Choices())


def test_pairs_of_text_are_not_pictures(tmp_path):
    (tmp_path / "a.tsv").write_text("source\ttarget\n" + "".join(f"{c}\tx\n" for c in COLOURS))
    assert find_media(tmp_path / "a.tsv", Choices()) is None
    assert find_media(tmp_path, Choices()) is None


def test_what_scenes_says_is_next_works_with_a_fourth_manifest(kochi, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    counts = ("--train", 3, "--dev", 1, "--test", 1, "--seen", 1)
    said = kochi("scenes", "my shapes", *counts).lines[-1].rpartition("next: ")[2]
    assert said == "kochi init 'my shapes/train.tsv'"
    assert kochi("init", "my shapes/train.tsv").code == 0
    assert counts_of_splits(tmp_path / "run.toml") == [3, 1, 1]


def test_what_is_wrong_is_wrong_in_the_users_own_file(kochi, tmp_path):
    for number in range(20):
        save(picture_of(("red",)), tmp_path / f"{number}.png")
    rows = [f"{number}.png\tred" for number in range(20)]
    manifest = tmp_path / "mine.tsv"
    manifest.write_text("\n".join(["image\ttext", *rows, "19.png\t"]) + "\n")
    result = kochi("init", manifest, "--out", tmp_path / "run.toml")
    assert result.code == 0
    assert "1 of 21 rows cannot be used" in result.out
    assert "mine.tsv:22: 'text' is empty" in result.out
    (tmp_path / "7.png").write_bytes(b"nothing")
    manifest.write_text("\n".join(["image\ttext", *rows]) + "\n")
    result = kochi("init", manifest, "--out", tmp_path / "run.toml")
    assert result.code == 2 and "run.toml: already exists" in result.err
    result = kochi("init", manifest, "--out", tmp_path / "run.toml", "--overwrite")
    assert result.code == 0
    assert "mine.tsv:9: " in result.out and "7.png" in result.out


@pytest.mark.parametrize(
    ("texts", "metric"),
    [
        (["a red block"], "exact"),
        (["a red block", "one block that is red"], "bleu"),
        ([" ".join("abcdefghij")], "exact"),  # long, but of few words
        ([" ".join(f"{letter}{{0}}" for letter in "abcdefghij")], "bleu"),
    ],
)
def test_long_and_free_texts_are_not_counted_as_right_or_wrong(tmp_path, texts, metric):
    rows = []
    for number in range(30):
        save(picture_of(("red",)), tmp_path / f"{number}.png")
        rows.append({"image": f"{number}.png", "text": [text.format(number) for text in texts]})
    for split in ("train", "dev"):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{split}.jsonl").write_text(lines)
    start(tmp_path, tmp_path / "new.toml", "out")
    training = config.read_run(tmp_path / "new.toml").training
    assert training.metric == metric
    assert training.schedule.option("warmup_steps") == 10 * len(
        texts
    )  # a tenth of a hundred epochs
