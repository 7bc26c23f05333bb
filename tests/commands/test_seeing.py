"""The commands on pictures: from a manifest to words with what they were seen in."""

import base64
import io
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import kochi
from kochi.prediction import SourceError
from tests.seeing import COLOURS, SIDE, picture_of, save


@pytest.fixture
def blocks(tmp_path):
    """Three pictures; return them by what they show."""
    paths = {}
    for names in (("red", "blue", "green"), ("green",), ("blue", "red")):
        paths[" ".join(names)] = tmp_path / f"{'-'.join(names)}.png"
        save(picture_of(names), paths[" ".join(names)])
    return paths


def test_answers_in_the_order_of_the_files(kochi, seer, blocks):
    assert kochi("predict", seer, *blocks.values()).lines == list(blocks)
    names = "".join(f"{path}\n" for path in blocks.values())
    assert kochi("predict", seer, stdin=names.encode()).lines == list(blocks)
    assert kochi("predict", seer, *blocks.values(), "--sample", "--seed", "1").code == 0


def test_json_says_where(kochi, seer, blocks):
    record = json.loads(kochi("predict", seer, "--json", blocks["red blue green"]).out)
    assert record["tokens"] == ["red", "blue", "green"]
    assert record["grid"] == [1, 3] and record["cell"] == [SIDE, SIDE]
    assert [len(row) for row in record["alignment"]] == [3] * 3
    assert [row.index(max(row)) for row in record["alignment"]] == [0, 1, 2]


def test_json_says_where_the_cells_lie_in_the_picture_itself(kochi, seer, tmp_path):
    """A square of twice the height is read half as large, in the middle of white."""
    whole = picture_of(("red", "blue", "green"))
    save(whole, tmp_path / "whole.png")
    save(whole[:, :SIDE].repeat(2, 0).repeat(2, 1), tmp_path / "square.png")
    files = [tmp_path / name for name in ("square.png", "whole.png", "square.png")]
    records = [json.loads(line) for line in kochi("predict", seer, "--json", *files).lines]
    square = [-2.0 * SIDE, 0.0, 4.0 * SIDE, 2.0 * SIDE]
    assert [record["grid_box"] for record in records] == [
        square,
        [0.0, 0.0, 3.0 * SIDE, float(SIDE)],
        square,
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_picture_from_a_pipe_is_read_once(kochi, seer, blocks, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    content = blocks["green"].read_bytes()
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit((tmp_path / "pipe").write_bytes, content)
        result = kochi("predict", seer, "--json", tmp_path / "pipe")
        sent.result(timeout=60)
    record = json.loads(result.out)
    assert record["text"] == "green" and record["grid_box"] is None


def test_n_best_has_scores(kochi, seer, blocks):
    lines = kochi("predict", seer, "--beam", "3", "--n-best", "3", blocks["blue red"]).lines
    scores = [float(line.split("\t")[1]) for line in lines]
    assert len(lines) == 3 and scores == sorted(scores, reverse=True)
    assert lines[0].endswith("\tblue red")


def test_evaluation_points(kochi, seer):
    record = json.loads(kochi("evaluate", seer, "test", "--json").out)
    scores = record["scores"]
    assert list(scores) == ["exact", "bleu", "chrf", "pointing", "pointing_mass"]
    assert scores["exact"]["value"] == 100.0
    assert scores["pointing"]["value"] == 100.0
    assert 50.0 < scores["pointing_mass"]["value"] <= 100.0
    assert scores["pointing"]["low"] <= 100.0 <= scores["pointing"]["high"]
    result = kochi("evaluate", seer, "test", "--metric", "pointing")
    assert "pointing accuracy 100.0 %" in result.out and "exact" not in result.out


def test_pointing_can_fail(kochi, seer, pictures_task):
    """With the boxes of another block, nothing points right."""
    manifest = pictures_task.parent / "all.tsv"
    rows = [line.split("\t") for line in manifest.read_text().splitlines()]
    moved = [rows[0][:1] + rows[0][2:]]
    for row in rows[1:]:
        if row[1] == "test":
            box = [0, 2 * SIDE, 0, 3 * SIDE, SIDE]
            boxes = json.dumps([box] if len(row[2].split()) < 3 else [[0, SIDE, 0, 2 * SIDE, SIDE]])
            moved.append([row[0], row[2], boxes])
    other = pictures_task.parent / "other.tsv"
    other.write_text("".join("\t".join(row) + "\n" for row in moved))
    record = json.loads(kochi("evaluate", seer, other, "--json").out)
    assert record["scores"]["pointing"]["value"] == 0.0


def test_another_manifest_names_its_own_pictures(kochi, seer, tmp_path):
    """Files of the same names lie among those of training; without boxes nothing points."""
    shown = {"red.png": "green blue", "red-red.png": "blue"}
    for name, text in shown.items():
        save(picture_of(tuple(text.split())), tmp_path / name)
    rows = "".join(f"{name}\t{text}\n" for name, text in shown.items())
    (tmp_path / "mine.tsv").write_text(f"image\ttext\n{rows}")
    record = json.loads(kochi("evaluate", seer, tmp_path / "mine.tsv", "--json").out)
    assert list(record["scores"]) == ["exact", "bleu", "chrf"]
    assert record["scores"]["exact"]["value"] == 100.0
    (tmp_path / "png").mkdir()  # as beside the manifest of training
    for name in shown:
        (tmp_path / name).rename(tmp_path / "png" / name)
    record = json.loads(kochi("evaluate", seer, tmp_path / "mine.tsv", "--json").out)
    assert record["scores"]["exact"]["value"] == 100.0


def test_places_in_the_white_around_a_picture_are_told_at_its_edge(kochi, seer, tmp_path):
    save(picture_of(("red", "blue", "green"))[: SIDE // 2], tmp_path / "flat.png")
    result = kochi("show", seer, tmp_path / "flat.png")
    assert result.code == 0, result.err
    for line in result.lines[1:]:
        across, down = map(int, line.rpartition(" at ")[2].split(", "))
        assert 0 <= across < 3 * SIDE and 0 <= down < SIDE // 2


def test_show_says_where_and_draws(kochi, seer, blocks, tmp_path):
    result = kochi("show", seer, blocks["red blue green"], "--out", tmp_path / "x.png")
    assert result.code == 0, result.err
    assert result.lines[0] == "red blue green"
    places = [line.rpartition(" at ")[2] for line in result.lines[1:4]]
    assert places == [f"{SIDE * place + SIDE // 2}, {SIDE // 2}" for place in range(3)]
    with Image.open(tmp_path / "x.png") as drawn:
        assert drawn.width > drawn.height > 50
    assert kochi("show", seer, blocks["green"], "--out", tmp_path / "x.svg").code == 0
    assert "green" in (tmp_path / "x.svg").read_text()


def page_of(path):
    """Return the data and the pixels of a page."""
    text = path.read_text("utf-8")
    data = re.search(r'id="data">(.*?)</script>', text)
    image = re.search(r'src="data:image/png;base64,(.*?)"', text)
    assert data is not None and image is not None
    with Image.open(io.BytesIO(base64.b64decode(image[1]))) as drawn:
        return json.loads(data[1]), np.asarray(drawn)


def test_show_writes_a_page_of_what_was_read(kochi, seer, tmp_path):
    """A square of twice the height is read half as large, in the middle of white."""
    save(picture_of(("green",))[:, :SIDE].repeat(2, 0).repeat(2, 1), tmp_path / "large.png")
    result = kochi("show", seer, tmp_path / "large.png", "--out", tmp_path / "a.html")
    assert result.code == 0, result.err
    data, pixels = page_of(tmp_path / "a.html")
    white, green = np.full((SIDE, SIDE, 3), 255), np.full((SIDE, SIDE, 3), COLOURS["green"])
    assert np.array_equal(pixels, np.concatenate([white, green, white], 1))
    names = ("kind", "width", "height", "cellWidth", "cellHeight", "columns")
    assert [data["read"][name] for name in names] == ["cells", 3 * SIDE, SIDE, SIDE, SIDE, 3]
    assert data["written"]["words"] == result.lines[0].split()
    [[rows]] = data["shares"]  # one layer, one head
    for row in rows:
        assert len(row) == 3
        assert sum(row) == pytest.approx(1000, abs=len(row))


def test_the_library_takes_arrays_and_sizes_do_not_touch_each_other(seer):
    model = kochi.load(seer, device="cpu")
    arrays = [picture_of(("red", "green")), picture_of(("blue",))]
    together = model.predict(arrays, need_alignment=True)
    assert [prediction.text for prediction in together] == ["red green", "blue"]
    assert together[0].source == f"array of shape ({SIDE}, {3 * SIDE}, 3)"
    [alone] = model.predict(arrays[1:], need_alignment=True)
    assert alone.alignment is not None and together[1].alignment is not None
    assert alone.alignment.numpy() == pytest.approx(together[1].alignment.numpy(), abs=1e-5)
    assert isinstance(alone, kochi.ImagePrediction) and alone.grid == (1, 3)
    with pytest.raises(SourceError, match=r"sources\[1\]: array of shape \(2, 2\): found 2 x 2"):
        model.predict([arrays[0], np.zeros((2, 2), np.uint8)])


@pytest.mark.parametrize(
    "changes",
    [
        ["model.attention.selection=hard", "training.reinforce.entropy_weight=0.1"],
        pytest.param(["model.attention.selection=gumbel"], marks=pytest.mark.slow),
        pytest.param(["model.attention.selection=straight_through"], marks=pytest.mark.slow),
        pytest.param(
            [
                "model.order=luong",
                "model.input_feeding=false",
                "model.attention.selection=marginal",
            ],
            marks=pytest.mark.slow,
        ),
        ["training.doubly_stochastic_weight=0.1"],
        ["training.distortion.shift=0.1", "training.distortion.mirror=true"],
        pytest.param(
            ["data.front_end.fit=shrink", "data.front_end.colour=grey"], marks=pytest.mark.slow
        ),
        ['model={kind="transformer",size=16,encoder={kind="vit",size=16,patch=4,layers=1}}'],
        ['model.encoder={kind="cnn_rows",channels=[8],hidden_size=8}'],
    ],
)
def test_every_way_of_looking_trains(kochi, pictures_task, changes):
    """A line of the run file each: it learns (the loss falls) and answers."""
    options = [part for change in changes for part in ("--set", change)]
    result = kochi("train", pictures_task, *options, "--set", "training.epochs=6")
    assert result.code == 0, result.err
    losses = [
        float(line.split("dev loss ")[1].split()[0])
        for line in result.err.splitlines()
        if "dev loss" in line and line.startswith("step")
    ]
    assert losses[-1] < losses[0]
    picture = pictures_task.parent / "png" / "red-green.png"
    record = json.loads(kochi("predict", pictures_task.parent / "model", "--json", picture).out)
    assert set(record["tokens"]) <= set(COLOURS)
    shown = kochi(
        "show", pictures_task.parent / "model", picture, "--out", picture.parent / "a.html"
    )
    assert shown.code == 0, shown.err


def test_a_folder_with_captions_and_several_answers(kochi, tmp_path, pictures_task):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, name in enumerate(COLOURS):
        save(picture_of((name,)), folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"{name}\na {name} block\n")
    text = pictures_task.read_text().replace('split_column = "split"\n', "")
    text = text.replace('boxes_column = "boxes"\n', "")
    pictures_task.write_text(text)
    changes = ["data.train=pictures", "data.dev=pictures", "data.test=pictures"]
    options = [part for change in changes for part in ("--set", change)]
    result = kochi("train", pictures_task, *options)
    assert result.code == 0, result.err
    record = json.loads(kochi("evaluate", tmp_path / "model", "test", "--json").out)
    assert record["pairs"] == 3
    assert "nrefs:2" in record["scores"]["exact"]["signature"]
