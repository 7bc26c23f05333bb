"""Sparsemax and entmax against sorting and bisection, done with plain numbers."""

import math
from collections.abc import Callable

import entmax as judge
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.func import jvp

from kochi.attention.selections import Entmax
from kochi.attention.selections.entmax import entmax
from kochi.attention.selections.entmax15 import entmax15
from kochi.attention.selections.sparsemax import sparsemax
from kochi.attention.selections.top_k import best_positions

Rule = Callable[[Tensor, Tensor | None], Tensor]


def with_alpha(alpha: float) -> Rule:
    def rule(scores: Tensor, visible: Tensor | None) -> Tensor:
        return entmax(scores, visible, torch.tensor([alpha], dtype=torch.float64))

    return rule


RULES: dict[str, tuple[Rule, float]] = {
    "sparsemax": (sparsemax, 2.0),
    "entmax15": (entmax15, 1.5),
    "entmax 1.2": (with_alpha(1.2), 1.2),
    "entmax 1.5": (with_alpha(1.5), 1.5),
    "entmax 1.9": (with_alpha(1.9), 1.9),
}
every = pytest.mark.parametrize("name", RULES)


def formula(row: list[float], alpha: float) -> list[float]:
    """Find tau by 200 halvings."""
    scaled = [(alpha - 1.0) * score for score in row]
    low, high = max(scaled) - 1.0, max(scaled)

    def shares(tau: float) -> list[float]:
        return [max(score - tau, 0.0) ** (1.0 / (alpha - 1.0)) for score in scaled]

    for _ in range(200):
        middle = (low + high) / 2.0
        if sum(shares(middle)) > 1.0:
            low = middle
        else:
            high = middle
    return shares(low)


@every
@pytest.mark.parametrize("length", [1, 2, 10, 50, 500])
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_equals_the_formula(name: str, length: int, scale: float) -> None:
    rule, alpha = RULES[name]
    scores = scale * torch.randn(3, length, dtype=torch.float64)
    found = rule(scores, None)
    for row, expected in zip(scores.tolist(), found, strict=True):
        wanted = torch.tensor(formula(row, alpha), dtype=torch.float64)
        torch.testing.assert_close(expected, wanted, rtol=1e-11, atol=1e-13)


@every
@given(row=st.lists(st.floats(-60, 60, width=32), min_size=1, max_size=9))
def test_equals_the_formula_for_any_row(name: str, row: list[float]) -> None:
    rule, alpha = RULES[name]
    found = rule(torch.tensor(row, dtype=torch.float64), None)
    wanted = torch.tensor(formula(row, alpha), dtype=torch.float64)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)


@every
def test_scores_that_newton_finds_hard(name: str) -> None:
    """Each step of the search can drop few positions of such a row."""
    rule, alpha = RULES[name]
    row = [-(2.0**-power) for power in range(40)]
    found = rule(torch.tensor([row], dtype=torch.float64), None)
    wanted = torch.tensor([formula(row, alpha)], dtype=torch.float64)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


@every
def test_half_precision_is_computed_in_float32(name: str) -> None:
    rule, _ = RULES[name]
    scores = torch.randn(5, 40)
    for dtype in (torch.float16, torch.bfloat16):
        narrow = scores.to(dtype)
        assert torch.equal(rule(narrow, None), rule(narrow.float(), None).to(dtype))


@every
def test_gradients(name: str) -> None:
    rule, _ = RULES[name]
    scores = torch.randn(4, 9, dtype=torch.float64, requires_grad=True)
    visible = torch.rand(4, 9) < 0.7
    visible[1] = False
    assert torch.autograd.gradcheck(lambda scores: rule(scores, visible), (scores,))


@every
def test_a_gradient_of_nan_outside_the_support_changes_nothing(name: str) -> None:
    rule, _ = RULES[name]
    scores = torch.tensor([[0.0, 0.2, -9.0, 0.1]], requires_grad=True)
    visible = torch.tensor([[True, True, True, False]])
    found = []
    for outside in (0.0, torch.nan):
        weights = torch.tensor([[1.0, 3.0, outside, outside]])
        found.append(torch.autograd.grad(rule(scores, visible), scores, weights)[0])
    assert torch.equal(*found)


def test_gradient_of_alpha() -> None:
    scores = torch.randn(2, 3, 4, 9, dtype=torch.float64, requires_grad=True)
    alpha = torch.tensor([1.1, 1.5, 1.9], dtype=torch.float64)[:, None, None].requires_grad_()
    visible = torch.rand(2, 1, 4, 9) < 0.7
    visible[1, 0, 2] = False
    assert torch.autograd.gradcheck(lambda *of: entmax(of[0], visible, of[1]), (scores, alpha))


def test_by_hand() -> None:
    scores = torch.tensor([[1.0, 0.8, 0.1, 9.0]])
    visible = torch.tensor([[True, True, True, False]])
    # tau = (1.8 - 1) / 2 = 0.4, above the third.
    torch.testing.assert_close(sparsemax(scores, visible), torch.tensor([[0.6, 0.4, 0.0, 0.0]]))
    # With scores 2 and 1.6: (1 - tau)^2 + (0.8 - tau)^2 = 1, so tau = 0.9 - sqrt(0.49).
    tau = 0.9 - math.sqrt(0.49)
    wanted = torch.tensor([[(1.0 - tau) ** 2, (0.8 - tau) ** 2, 0.0, 0.0]])
    torch.testing.assert_close(entmax15(torch.tensor([[2.0, 1.6, 0.2, 9.0]]), visible), wanted)


def test_alpha_moves_from_softmax_to_sparsemax() -> None:
    scores = torch.randn(5, 20, dtype=torch.float64)
    torch.testing.assert_close(
        with_alpha(1.0001)(scores, None), scores.softmax(-1), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(
        with_alpha(1.9999)(scores, None), sparsemax(scores, None), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(with_alpha(1.5)(scores, None), entmax15(scores, None))


def test_alpha_starts_where_it_is_told_and_stays_in_range() -> None:
    selection = Entmax(3, alpha=1.3)
    torch.testing.assert_close(selection.alpha, torch.full((3, 1, 1), 1.3))
    for shape, bound in ((-1000.0, 1.01), (1000.0, 1.99)):
        with torch.no_grad():
            selection.shape.fill_(shape)
        torch.testing.assert_close(selection.alpha, torch.full((3, 1, 1), bound))
        assert selection(torch.randn(1, 3, 2, 30), None).isfinite().all()


@every
def test_judged_by_the_package_entmax(name: str) -> None:
    rule, alpha = RULES[name]
    scores = torch.randn(6, 30, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(6, 30, dtype=torch.float64)
    if name == "sparsemax":
        expected = judge.sparsemax(scores, -1)
    elif name == "entmax15":
        expected = judge.entmax15(scores, -1)
    else:
        expected = judge.entmax_bisect(scores, alpha, n_iter=60)
    found = rule(scores, None)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad((y * weights).sum(), scores)[0] for y in (found, expected)]
    torch.testing.assert_close(*gradients)


@given(
    row=st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=8),
    k=st.integers(1, 9),
)
def test_the_k_best_positions(row: list[tuple[int, bool]], k: int) -> None:
    ranked = sorted((-score, position) for position, (score, seen) in enumerate(row) if seen)
    expected = {position for _, position in ranked[:k]}
    scores = torch.tensor([float(score) for score, _ in row])
    found = best_positions(scores, torch.tensor([seen for _, seen in row]), k)
    assert set(found.nonzero().flatten().tolist()) == expected


def test_the_k_best_of_each_row() -> None:
    scores = torch.tensor([[3.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [9.0, 8.0, 7.0, 6.0]])
    together = best_positions(scores, None, 2)
    for row, found in zip(scores, together, strict=True):
        assert torch.equal(found, best_positions(row, None, 2))
        assert found.sum() == 2


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own
def test_forward_derivatives_by_scores_and_alpha() -> None:
    scores = torch.randn(3, 7, dtype=torch.float64)
    alpha = torch.tensor([[1.2], [1.5], [1.8]], dtype=torch.float64)
    directions = torch.randn_like(scores), torch.randn_like(alpha)

    def run(scores: Tensor, alpha: Tensor) -> Tensor:
        return entmax(scores, None, alpha)

    both = jvp(run, (scores, alpha), directions)[1]
    alone = jvp(lambda alpha: run(scores, alpha), (alpha,), directions[1:])[1]
    for found, moved in ((both, directions), (alone, (torch.zeros_like(scores), directions[1]))):
        up = run(scores + 1e-6 * moved[0], alpha + 1e-6 * moved[1])
        down = run(scores - 1e-6 * moved[0], alpha - 1e-6 * moved[1])
        torch.testing.assert_close(found, (up - down) / 2e-6, rtol=1e-5, atol=1e-7)
