import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from kochi.errors import UserError
from kochi.view.labelled import label_alignment
from kochi.view.picture import _merged, save_alignment, save_alignments


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def _texts(path: Path) -> list[str]:
    root = ElementTree.parse(path).getroot()
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).reshape(-1, 3)


def test_a_png_shows_strong_weights_in_the_maps_lightest_colour(tmp_path: Path):
    save_alignment(torch.eye(3), list("abc"), list("xyz"), tmp_path / "a.png", title="t")
    first, last = (
        np.round(255 * np.array(matplotlib.colormaps["viridis"](end)[:3])) for end in (0.0, 1.0)
    )
    pixels = _pixels(tmp_path / "a.png")
    dark, light = ((abs(pixels - colour) <= 1).all(axis=1).sum() for colour in (first, last))
    assert dark / light == pytest.approx(2.0, rel=0.05)  # six cells of nine are 0, three are 1


def test_an_svg_holds_all_labels_as_text(tmp_path: Path):
    path = tmp_path / "a.svg"
    weights = torch.tensor([[0.6, 0.4, 0.0], [0.0, 0.1, 0.9]])
    save_alignment(weights, ["two", "注", "$x_1$"], ["zwei", "\\frac"], path, title="a <b> $c$")
    texts = _texts(path)
    assert texts[:5] == ["two", "注", "$x_1$", "zwei", "\\frac"]
    assert {"a <b> $c$", "alignment", "1.0"} <= set(texts)


def test_the_same_svg_each_time(tmp_path: Path):
    for name in ("a.svg", "b.svg"):
        save_alignment(torch.eye(2), ["a", "b"], ["c", "d"], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_odd_tokens_do_not_warn(tmp_path: Path, kind: str):
    tokens = [
        "注意",
        "\x1b",
        "\ufffe",
        "$\\frac{$",
        "",
        " ",
        "مرحبا",
        "e\u0301",
        "👩\u200d💻",
        "क्षि",
    ]
    path = tmp_path / f"a.{kind}"
    save_alignment(torch.eye(len(tokens)), tokens, tokens, path, title="注 \x00 $")
    assert path.stat().st_size > 1000


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_small_and_empty_alignments(tmp_path: Path, rows: int, columns: int):
    weights = torch.ones(rows, columns)
    save_alignment(weights, ["a"] * columns, ["b"] * rows, tmp_path / "a.png", "a longer title")
    assert min(_size(tmp_path / "a.png")) > 100


def test_several_hundred_tokens_all_have_their_labels(tmp_path: Path):
    source, target = [f"s{n}" for n in range(227)], [f"t{n}" for n in range(210)]
    source[-1] = "<eos>"
    save_alignment(torch.full((210, 227), 1 / 227), source, target, tmp_path / "a.svg")
    texts = _texts(tmp_path / "a.svg")
    assert texts[:437] == [*source, *target]
    assert not any(text.startswith("labels:") for text in texts)


def test_thousands_of_tokens_are_merged_and_it_is_said(tmp_path: Path):
    weights = torch.zeros(3, 9001)
    weights[1, 4711] = 1.0
    source = [""] * 9000 + ["<eos>"]
    save_alignment(weights, source, list("abc"), tmp_path / "a.svg", title="long")
    texts = _texts(tmp_path / "a.svg")
    assert "each cell: the maximum of 3 columns" in texts
    assert "labels: every 20th of 9,001 columns, and the last" in texts
    assert "<eos>" in texts
    merged, notes = _merged(weights.double().numpy())
    assert merged.shape == (3, 3001) and len(notes) == 1
    assert merged[1, 4711 // 3] == 1.0 == merged.sum()  # the one weight is not lost


def test_long_inputs_stay_within_bounds_and_say_which_labels_are_left_out(tmp_path: Path):
    path, source = tmp_path / "a.svg", [f"frame{position}" for position in range(700)]
    save_alignment(torch.full((5, 700), 1 / 700), source, list("abcde"), path)
    shown = [text for text in _texts(path) if text.startswith("frame")]
    assert shown == [*source[:698:2], "frame699"]  # the last one always has its label
    assert "labels: every 2nd of 700 columns, and the last" in _texts(path)
    width = ElementTree.parse(path).getroot().attrib["width"]
    assert 60 * 72 < float(width.removesuffix("pt")) < 63 * 72


def test_several_alignments_share_a_picture_and_a_scale(tmp_path: Path):
    strong = label_alignment(torch.eye(12), ["a"] * 12, ["b"] * 12, "first")
    faint = label_alignment(torch.full((12, 12), 1 / 12), ["a"] * 12, ["b"] * 12, "second")
    save_alignments([strong, faint], tmp_path / "two.svg", title="both")
    assert {"first", "second", "both"} <= set(_texts(tmp_path / "two.svg"))
    assert _texts(tmp_path / "two.svg").count("alignment") == 1
    save_alignments([strong], tmp_path / "one.png")
    save_alignments([strong, faint], tmp_path / "two.png")
    save_alignments([strong, faint] * 3, tmp_path / "six.png")
    one, two, six = (_size(tmp_path / f"{name}.png") for name in ("one", "two", "six"))
    assert two[0] > 1.7 * one[0]
    assert two[1] == one[1]
    assert six[0] < 1.1 * two[0]
    assert six[1] > 2.5 * two[1]


def test_no_alignments(tmp_path: Path):
    with pytest.raises(ValueError, match="alignments: none given"):
        save_alignments([], tmp_path / "a.png")


def test_a_wrong_ending_leaves_nothing_behind(tmp_path: Path):
    with pytest.raises(UserError, match=r"a\.jpg: unknown picture type '\.jpg'"):
        save_alignment(torch.eye(1), ["a"], ["b"], tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())
