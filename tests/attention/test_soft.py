import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from kochi.attention.selections import soft
from kochi.attention.selections.soft import masked_softmax


@pytest.fixture(params=["few", "many"], autouse=True)
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test with `torch.where`, and with what replaces it where scores are many."""
    monkeypatch.setattr(soft, "MANY", 0 if request.param == "many" else 10**9)


def test_by_hand() -> None:
    scores = torch.tensor([[0.0, math.log(3.0), 50.0], [1.0, 2.0, 3.0]])
    visible = torch.tensor([[True, True, False], [False, False, False]])
    expected = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(masked_softmax(scores, visible), expected)


@given(
    rows=st.lists(
        st.lists(st.tuples(st.floats(-80, 80, width=32), st.booleans()), min_size=4, max_size=4),
        min_size=1,
        max_size=5,
    )
)
def test_a_row_sums_to_one_or_to_zero(rows: list[list[tuple[float, bool]]]) -> None:
    scores = torch.tensor([[score for score, _ in row] for row in rows])
    visible = torch.tensor([[seen for _, seen in row] for row in rows])
    found = masked_softmax(scores, visible)
    torch.testing.assert_close(found.sum(-1), visible.any(-1).float())
    assert (found[~visible] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("poison", [torch.nan, torch.inf, -torch.inf])
def test_what_is_hidden_changes_nothing(dtype: torch.dtype, poison: float) -> None:
    clean = torch.tensor([[1.0, 2.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]], dtype=dtype)
    visible = torch.tensor([[True, True, False], [True, False, False], [False] * 3])
    results: list[tuple[Tensor, Tensor]] = []
    for hidden in (0.0, poison):
        scores = clean.masked_fill(~visible, hidden).requires_grad_()
        found = masked_softmax(scores, visible)
        found.backward(torch.tensor([[1.0, 2.0, 3.0]] * 3, dtype=dtype))
        assert scores.grad is not None
        results.append((found.detach(), scores.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert (results[1][1][~visible] == 0).all()


def test_gradients() -> None:
    scores = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    visible = torch.tensor([[True] * 4, [True, False, True, False], [False] * 4])
    assert torch.autograd.gradcheck(lambda scores: masked_softmax(scores, visible), (scores,))
    assert torch.autograd.gradgradcheck(lambda scores: masked_softmax(scores, visible), (scores,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, 1, 1, 37), (1, 2, 5, 37), (3, 2, 5, 1), (3, 2, 5, 37)])
def test_both_ways_give_the_same_numbers(
    dtype: torch.dtype, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, visible = 9.0 * torch.randn(3, 2, 5, 37).to(dtype), torch.rand(shape) < 0.5
    found = []
    for many in (0, 10**9):
        monkeypatch.setattr(soft, "MANY", many)
        inputs = scores.clone().requires_grad_()
        alignment = masked_softmax(inputs, visible)
        found.append((alignment, *torch.autograd.grad(alignment.square().sum(), inputs)))
    assert all(map(torch.equal, *found))


def test_no_positions_at_all() -> None:
    assert masked_softmax(torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.bool)).shape == (2, 0)
    assert masked_softmax(torch.zeros(2, 0), None).shape == (2, 0)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_temperature_divides_the_scores(temperature: float) -> None:
    scores, visible = torch.randn(2, 3, 4, 5), torch.rand(2, 3, 4, 5) < 0.7
    found = soft.Soft(temperature=temperature)(scores, visible)
    torch.testing.assert_close(found, masked_softmax(scores / temperature, visible))
