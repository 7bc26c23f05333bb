"""Columns of names of sound and picture files are never taken for text."""

import json

import pytest
import soundfile

from kochi.modalities.audio.tables import SoundData
from kochi.modalities.image.tables import PictureData
from kochi.modalities.pairs import read_pairs
from tests.hearing import RATE_HZ, samples_of
from tests.seeing import picture_of, save

COLOURS = ("red", "blue", "green")
NUM_PICTURES = 20


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "Images"
    folder.mkdir()
    for number in range(NUM_PICTURES):
        save(picture_of((COLOURS[number % 3], COLOURS[number // 3 % 3])), folder / f"p{number}.png")
    return folder


@pytest.fixture
def sounds(tmp_path):
    folder = tmp_path / "wavs"
    folder.mkdir()
    for number in range(12):
        soundfile.write(folder / f"r{number}.wav", samples_of("abcab"[: 1 + number % 5]), RATE_HZ)
    return folder


def captions(number):
    return [f"a {COLOURS[number % 3]} thing, view {view}" for view in range(5)]


def counts(run):
    """Return the different sources of each split."""
    return [
        len({str(pair.source) for pair in read_pairs(run.data, split)})
        for split in ("train", "dev", "test")
    ]


def test_a_nemo_manifest_named_json(init, sounds, tmp_path):
    rows = [
        {"audio_filepath": f"wavs/r{n}.wav", "duration": 0.5, "text": f"word {n % 3}"}
        for n in range(12)
    ]
    path = tmp_path / "train_manifest.json"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said, run = init(path)
    assert isinstance(run.data, SoundData)
    assert (run.data.audio_column, run.data.text_column) == ("audio_filepath", "text")
    assert "'duration' (number" in said
    assert counts(run) == [10, 1, 1]


@pytest.mark.parametrize("names", [("offset", "duration"), ("begin_time", "end_time")])
def test_segments_of_recordings(init, sounds, tmp_path, names):
    rows = [f"wavs/r{n % 3 + 2}.wav\t{0.01 * n:.2f}\t{{}}\tpart {n}" for n in range(10)]
    ends = [0.05 if names[1] == "duration" else 0.01 * n + 0.05 for n in range(10)]
    lines = [row.format(f"{end:.2f}") for row, end in zip(rows, ends, strict=True)]
    header = "\t".join(("audio", *names, "text"))
    (tmp_path / "seg.tsv").write_text("\n".join([header, *lines]) + "\n")
    said, run = init(tmp_path / "seg.tsv")
    pairs = list(read_pairs(run.data, "train"))
    for pair in pairs:
        start = 0.01 * int(pair.references[0].split()[1])
        assert pair.source.start_seconds == pytest.approx(start)
        assert pair.source.end_seconds == pytest.approx(start + 0.05)
    assert len(pairs) == 8
    assert f"start_column = {names[0]}" in said


def test_names_without_endings_between_bars(init, sounds, tmp_path):
    rows = [f'r{n}|raw No. {n} "x"|number {n}' for n in range(12)]
    (tmp_path / "metadata.csv").write_text("\n".join(rows) + "\n")
    said, run = init(tmp_path / "metadata.csv")
    assert isinstance(run.data, SoundData)
    texts = [pair.references[0] for pair in read_pairs(run.data, "train")]
    assert all(text.startswith("number ") for text in texts)
    assert "read as a table with bars" in said


def test_flickr8k(init, pictures, tmp_path):
    rows = [f"p{n}.png#{k}\t{text}" for n in range(20) for k, text in enumerate(captions(n))]
    (tmp_path / "Flickr8k.token.txt").write_text("\n".join(rows) + "\n")
    _, run = init(tmp_path / "Flickr8k.token.txt")
    assert isinstance(run.data, PictureData)
    assert counts(run) == [18, 1, 1]
    assert len(next(iter(read_pairs(run.data, "dev"))).references) == 5


def test_captions_of_one_picture_stay_together(init, pictures, tmp_path):
    rows = [f"Images/p{n}.png\t{text}" for n in range(20) for text in captions(n)]
    (tmp_path / "pairs.tsv").write_text("\n".join(["image\ttext", *rows]) + "\n")
    _, run = init(tmp_path / "pairs.tsv")
    assert counts(run) == [18, 1, 1]


def test_coco(init, pictures, tmp_path):
    record = {
        "info": {"description": "made up"},
        "licenses": [],
        "images": [{"id": n + 100, "file_name": f"p{n}.png"} for n in range(20)],
        "annotations": [
            {"id": 5 * n + k, "image_id": n + 100, "caption": text}
            for n in range(20)
            for k, text in enumerate(captions(n))
        ],
    }
    (tmp_path / "captions_train.json").write_text(json.dumps(record))
    said, run = init(tmp_path / "captions_train.json")
    assert "read as COCO's captions" in said
    assert counts(run) == [18, 1, 1]


def test_karpathy(init, pictures, tmp_path):
    splits = ["train"] * 15 + ["restval"] + ["val"] * 2 + ["test"] * 2
    images = [
        {"filename": f"p{n}.png", "split": split, "sentences": [{"raw": t} for t in captions(n)]}
        for n, split in enumerate(splits)
    ]
    (tmp_path / "dataset.json").write_text(json.dumps({"images": images, "dataset": "mine"}))
    _, run = init(tmp_path / "dataset.json")
    assert counts(run)[2] == 2
    assert sum(counts(run)) == 20


def test_a_csv_of_pictures_and_a_list_without_a_header(init, pictures, tmp_path):
    rows = [f'Images/p{n}.png,"a {COLOURS[n % 3]} thing, number {n}"' for n in range(20)]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,text", *rows]) + "\n")
    _, run = init(tmp_path / "metadata.csv")
    assert counts(run) == [18, 1, 1]
    texts = [pair.references[0] for pair in read_pairs(run.data, "dev")]
    assert "thing, number" in texts[0]
    rows = [f"a {COLOURS[n % 3]} thing {n}\tImages/p{n}.png" for n in range(20)]
    (tmp_path / "list.tsv").write_text("\n".join(rows) + "\n")
    _, run = init(tmp_path / "list.tsv")
    assert counts(run) == [18, 1, 1]


def test_parallel_files_of_names_and_formulas(init, pictures, tmp_path):
    (tmp_path / "src-train.txt").write_text("".join(f"p{n}.png\n" for n in range(20)))
    (tmp_path / "tgt-train.txt").write_text("".join(f"x ^ {n}\n" for n in range(20)))
    said, run = init(tmp_path / "src-train.txt")
    assert isinstance(run.data, PictureData)
    assert "src-train.txt names pictures, tgt-train.txt is their text" in said
    assert counts(run) == [18, 1, 1]


def test_files_that_are_nowhere(kochi, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"audio_filepath": f"a/{n}.wav", "text": f"word {n}"} for n in (1, 2)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "train_manifest.json").write_text(lines)
    result = kochi("init", "train_manifest.json")
    assert result.code == 2
    assert "train_manifest.json: a/1.wav is neither in . nor in a folder of it" in result.err
    assert not (tmp_path / "run.toml").exists()


def test_a_picture_that_is_missing_costs_its_row_alone(init, pictures, tmp_path):
    rows = [f"p{n}.png#{k}\t{text}" for n in range(20) for k, text in enumerate(captions(n))]
    extra = ["gone.png#0\ta lost thing", "p3.png#7\t"]
    (tmp_path / "list.txt").write_text("\n".join([*rows, *extra]) + "\n")
    said, run = init(tmp_path / "list.txt")
    assert sum(counts(run)) == 20
    assert "1 of 21 rows are left out" in said
    assert "list.txt:102: expected something in the columns 1 and 2" in said
    assert "Images lacks their file: gone.png" in said
