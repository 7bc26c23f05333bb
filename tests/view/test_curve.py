import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from kochi.errors import UserError
from kochi.view.curve import _read_curve, save_curve

TRAIN = "step,epoch,loss\n10,0,3.5\n20,0,2.5\n30,1,2.0\n"
EVALUATIONS = "step,epoch,loss,metric,seconds\n20,0,3.0,10.5,1\n30,1,,12,1\n"


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Path, Path]:
    train, evaluations = tmp_path / "train.csv", tmp_path / "evaluations.csv"
    train.write_text(TRAIN)
    evaluations.write_text(EVALUATIONS)
    return train, evaluations


def _texts(path: Path) -> set[str | None]:
    root = ElementTree.parse(path).getroot()
    return {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}


def test_loss_and_metric(logs: tuple[Path, Path], tmp_path: Path):
    out = tmp_path / "curve.svg"
    save_curve(logs[0], out, evaluations=logs[1], metric="BLEU", title="a $run$")
    assert {"loss", "dev BLEU (greedy)", "step", "training", "dev", "a $run$"} <= _texts(out)


def test_loss_alone(logs: tuple[Path, Path], tmp_path: Path):
    save_curve(logs[0], tmp_path / "curve.svg")
    texts = _texts(tmp_path / "curve.svg")
    assert {"loss", "step"} <= texts
    assert not {"dev metric (greedy)", "dev"} & texts
    save_curve(logs[0], tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_empty_cells_and_what_is_not_finite_are_left_out(logs: tuple[Path, Path]):
    assert _read_curve(logs[1], "loss") == ([20.0], [3.0])
    assert _read_curve(logs[1], "metric") == ([20.0, 30.0], [10.5, 12.0])
    logs[0].write_text(TRAIN + "40,1,nan\n50,1,inf\n60")
    assert _read_curve(logs[0], "loss") == ([10.0, 20.0, 30.0], [3.5, 2.5, 2.0])


def test_a_log_without_rows_is_drawn_empty(logs: tuple[Path, Path], tmp_path: Path):
    logs[0].write_text("step,epoch,loss\n")
    save_curve(logs[0], tmp_path / "curve.svg")
    assert "loss" in _texts(tmp_path / "curve.svg")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step,value\n1,2\n", r"train\.csv: no column 'loss'; found step, value"),
        ("step,loss\n1,x\n", r"train\.csv, line 2: 'x' is not a number"),
        ("", r"train\.csv: no column 'loss'; found nothing"),
    ],
)
def test_wrong_logs(logs: tuple[Path, Path], tmp_path: Path, text: str, message: str):
    logs[0].write_text(text)
    with pytest.raises(UserError, match=message):
        save_curve(logs[0], tmp_path / "curve.png")


def test_a_missing_log(tmp_path: Path):
    with pytest.raises(UserError, match=r"train\.csv: no such file; expected a CSV log"):
        save_curve(tmp_path / "train.csv", tmp_path / "curve.png")


def test_a_wrong_ending(logs: tuple[Path, Path], tmp_path: Path):
    with pytest.raises(UserError, match="unknown picture type"):
        save_curve(logs[0], tmp_path / "curve.gif")
