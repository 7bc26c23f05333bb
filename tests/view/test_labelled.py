import numpy as np
import pytest
import torch

from kochi.view.labelled import label_alignment, scale_top
from kochi.visible import visible


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_any_tensor_and_array_will_do(dtype: torch.dtype):
    weights = torch.eye(2, dtype=torch.float32).to(dtype)
    labelled = label_alignment(weights, ["a", "b"], ["c", "d"])
    assert labelled.weights.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    array = label_alignment(np.eye(2, dtype=np.float32), ["a", "b"], ["c", "d"])
    assert array.weights.tolist() == labelled.weights.tolist()


def test_a_tensor_that_wants_a_gradient_will_do():
    weights = torch.ones(1, 1, requires_grad=True)
    assert label_alignment(weights, ["a"], ["b"]).weights.tolist() == [[1.0]]


def test_tokens_must_fit():
    with pytest.raises(ValueError, match=r"shape \(2, 3\), but .* tokens need \(3, 2\)"):
        label_alignment(torch.ones(2, 3), ["a", "b"], ["c", "d", "e"])


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_weights_must_be_finite(wrong: float):
    with pytest.raises(ValueError, match="NaN or infinite"):
        label_alignment(torch.tensor([[0.5, wrong]]), ["a", "b"], ["c"])


@pytest.mark.parametrize(
    ("largest", "top"),
    [(1.0, 1.0), (0.51, 1.0), (0.5, 0.5), (0.21, 0.5), (0.2, 0.2), (0.1, 0.1), (0.011, 0.02)],
)
def test_the_scale_ends_at_a_round_number(largest: float, top: float):
    assert scale_top(np.array([[0.0, largest]])) == pytest.approx(top)


def test_the_scale_of_nothing_and_of_too_much_is_one():
    assert scale_top(np.zeros((2, 2))) == scale_top(np.zeros((0, 2))) == 1.0
    assert scale_top(np.array([[3.0]])) == 1.0


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("cat", "cat"),
        ("", "∅"),
        ("\n", "␊"),
        ("\x1b[31m", "␛[31m"),
        ("\x7f", "<007F>"),
        ("a\u00a0b", "a␣b"),
        ("e\u0301", "e\u0301"),
        ("\u200b", "<200B>"),
        ("\ufffe", "<FFFE>"),
        ("\ud800", "<D800>"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_tokens_are_made_visible(token: str, shown: str):
    assert visible(token) == shown
