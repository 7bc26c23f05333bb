"""What the user can get wrong about pictures: one line, exit code 2."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.commands.test_bad_input import complaint
from tests.modalities.image.test_files import WRONG
from tests.seeing import COLOURS, SIDE, picture_of, save

REFUSE = ("--set", "data.bad_rows=refuse")


def check_one_line(result, *parts):
    line = complaint(result)
    for part in parts:
        assert part in line


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=list(WRONG))
def test_a_picture_that_cannot_be_read(kochi, seer, tmp_path, content, message):
    bad = tmp_path / "bad.png"
    bad.write_bytes(content)
    check_one_line(kochi("predict", seer, bad, "--strict"), "bad.png", message)
    check_one_line(kochi("show", seer, bad), "bad.png", message)


def test_a_picture_that_is_not_there(kochi, seer, tmp_path):
    missing = tmp_path / "no.png"
    result = kochi("predict", seer, missing, "--strict")
    check_one_line(result, "no.png: no such file", "check the path")
    check_one_line(kochi("show", seer, missing), "no.png: no such file")


def test_a_folder_is_not_a_picture(kochi, seer, tmp_path):
    result = kochi("predict", seer, tmp_path, "--strict")
    check_one_line(result, "is a folder", "name those in it", "/*.png")


def test_pictures_have_no_subtitles_and_no_words_to_link(kochi, seer, tmp_path):
    save(picture_of(("red",)), tmp_path / "a.png")
    result = kochi("predict", seer, tmp_path / "a.png", "--format", "srt")
    check_one_line(result, "--format srt: a model of pictures hears nothing to subtitle")
    (tmp_path / "a.txt").write_text("red\n")
    result = kochi("align", seer, tmp_path / "a.txt", tmp_path / "a.txt")
    check_one_line(result, "reads picture", "'kochi show' says where each word was seen")


def test_unusual_pictures_are_read(kochi, seer, tmp_path):
    """CMYK, 16 bits, a palette with transparency, grey with an alpha channel."""
    pixels = Image.fromarray(picture_of(("red", "blue")))
    pixels.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=98)
    palette = pixels.convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
    palette.save(tmp_path / "palette.png", transparency=palette.getpixel((3 * SIDE - 1, 0)))
    grey = np.full((SIDE, 3 * SIDE), 40_000, np.uint16)
    Image.fromarray(grey).save(tmp_path / "sixteen.png")
    pixels.convert("LA").save(tmp_path / "alpha.png")
    names = ("cmyk.jpg", "palette.png", "sixteen.png", "alpha.png")
    result = kochi("predict", seer, *(tmp_path / name for name in names))
    assert result.code == 0, result.err
    assert result.lines[:2] == ["red blue"] * 2 and len(result.lines) == 4


def rewrite(run_file, change):
    """Change the cells of the third row of the manifest."""
    manifest = run_file.parent / "all.tsv"
    rows = [line.split("\t") for line in manifest.read_text().splitlines()]
    change(rows[2])
    manifest.write_text("".join("\t".join(row) + "\n" for row in rows))


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        (2, "", "all.tsv:3: 'text' is empty; fill it in or remove the row"),
        (0, "", "all.tsv:3: 'image' is empty"),
        (0, "no.png", "no.png: no such file"),
        (3, "[[9, 0, 0, 1, 1]]", "all.tsv:3: 'boxes' holds [9, 0, 0, 1, 1]"),
        (3, "[[0, 5, 0, 1, 1]]", "left < right"),
        (3, "what", "all.tsv:3: 'boxes': not JSON"),
    ],
)
def test_a_row_that_is_wrong(kochi, pictures_task, column, cell, message):
    rewrite(pictures_task, lambda row: row.__setitem__(column, cell))
    check_one_line(kochi("train", pictures_task, *REFUSE), message)


@pytest.mark.parametrize(("content", "message"), [WRONG["cut off"], WRONG["animated"]])
def test_a_picture_of_a_manifest_is_named_with_its_line(kochi, pictures_task, content, message):
    (pictures_task.parent / "png" / "bad.png").write_bytes(content)
    rewrite(pictures_task, lambda row: row.__setitem__(0, "bad.png"))
    check_one_line(kochi("train", pictures_task, *REFUSE), "all.tsv:3:", "bad.png", message)


def test_a_folder_without_texts_or_pictures(kochi, tmp_path, pictures_task):
    folder = tmp_path / "pictures"
    folder.mkdir()
    text = pictures_task.read_text().replace('split_column = "split"\n', "")
    pictures_task.write_text(text.replace('boxes_column = "boxes"\n', ""))
    changes = [part for s in ("train", "dev", "test") for part in ("--set", f"data.{s}=pictures")]
    check_one_line(kochi("train", pictures_task, *changes), "holds no pictures")
    save(picture_of((next(iter(COLOURS)),)), folder / "a.png")
    check_one_line(kochi("train", pictures_task, *changes), "a.txt: no such file")
    (folder / "a.txt").write_text("\n  \n")
    check_one_line(kochi("train", pictures_task, *changes), "a.txt: found no text")


def test_options_that_belong_elsewhere(kochi, pictures_task):
    masks = ("--set", "training.augmentation.time_masks=1")
    check_one_line(
        kochi("train", pictures_task, *masks), "is for features and recordings; remove it"
    )
    frames = ("--set", 'model.encoder={kind="pyramid"}')
    check_one_line(kochi("train", pictures_task, *frames), "reads frames, but the source is pict")


def test_a_key_of_another_kind_is_to_be_taken_out(kochi, pictures_task):
    result = kochi("train", pictures_task, "--set", "model.kind=transformer")
    check_one_line(result, "model.order is an option of kind 'rnn', not of 'transformer'; remove")
    small = ("--set", "model.encoder=cnnn")
    check_one_line(
        kochi("train", pictures_task, *small),
        "model.encoder: got 'cnnn', expected",
        "did you mean 'cnn'?",
    )


def test_distortion_is_for_pictures(kochi, task):
    distortion = ("--set", "training.distortion.mirror=true")
    check_one_line(kochi("train", task, *distortion), "training.distortion is for pictures")


def test_pointing_without_boxes(kochi, seer, tmp_path):
    save(picture_of(("red",)), tmp_path / "a.png")
    (tmp_path / "a.jsonl").write_text(json.dumps({"image": "a.png", "text": "red"}) + "\n")
    result = kochi("evaluate", seer, tmp_path / "a.jsonl", "--metric", "pointing")
    check_one_line(result, "boxes")
