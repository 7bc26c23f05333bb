from collections.abc import Callable

import pytest
import torch

from kochi.attention import build, coverage_loss
from kochi.attention.scopes import Coverage


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("score", ["additive", "scaled_dot", "location_aware"])
def test_scores_grow_by_the_weighted_sum_of_earlier_alignments(score: str) -> None:
    module = build(score, "coverage", query_size=4, memory_size=4, num_heads=2).double()
    plain = build(score, query_size=4, memory_size=4, num_heads=2).double()
    plain.load_state_dict(module.state_dict(), strict=False)
    assert isinstance(module.scope, Coverage)
    with torch.no_grad():
        module.scope.weight.copy_(torch.tensor([-3.0, 2.0]))
    query, memory = numbers(2, 2, 4), numbers(2, 5, 4)
    found = module(query, module.project(memory), need_alignment=True).alignment
    assert found is not None
    first = plain(query[:, :1], plain.project(memory), need_alignment=True)
    second = plain(query[:, 1:], plain.project(memory), state=first.state, need_alignment=True)
    assert first.alignment is not None
    assert second.alignment is not None
    torch.testing.assert_close(found[:, :, :1], first.alignment)
    covered = module.scope.weight[:, None, None] * found[:, :, :1]
    expected = (second.alignment.log() + covered).softmax(-1)
    torch.testing.assert_close(found[:, :, 1:], expected)


def test_the_weight_learns_from_the_second_query_on() -> None:
    module = build("dot", "coverage", query_size=3, memory_size=3)
    projected = module.project(torch.randn(2, 5, 3))
    assert isinstance(module.scope, Coverage)
    context = module(torch.randn(2, 3, 3), projected).context
    (gradient,) = torch.autograd.grad(context.sum(), module.scope.weight)
    assert gradient.abs() > 0


def test_with_a_relative_term_both_are_added() -> None:
    module = build("dot", "coverage", query_size=3, memory_size=3, relative="alibi").double()
    assert isinstance(module.scope, Coverage)
    torch.nn.init.constant_(module.scope.weight, -2.0)
    query = torch.zeros(1, 2, 3, dtype=torch.float64)
    alignment = module(query, module.project(numbers(1, 4, 3)), need_alignment=True).alignment
    assert alignment is not None
    slope = torch.arange(4).double() / 256
    first = (-slope).softmax(-1)
    second = (-(torch.arange(4).double() - 1).abs() / 256 - 2.0 * first).softmax(-1)
    torch.testing.assert_close(alignment, torch.stack((first, second)).unsqueeze(0))


def test_loss_equals_the_formula_as_a_loop() -> None:
    alignments = numbers(2, 3, 5, 7).softmax(-1)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    found = coverage_loss(alignments, mask)
    assert found.shape == (2, 3)
    for b in range(2):
        for h in range(3):
            expected, covered = 0.0, [0.0] * 7
            for t in range(5 if b == 0 else 3):
                for s, weight in enumerate(alignments[b, h, t].tolist()):
                    expected += min(weight, covered[s])
                    covered[s] += weight
            assert found[b, h].item() == pytest.approx(expected, rel=1e-12)


def test_loss_is_zero_where_nothing_is_looked_at_twice() -> None:
    assert (coverage_loss(torch.eye(4)[None, None]) == 0).all()
    assert coverage_loss(torch.eye(4)[[0, 0, 0]][None, None]).item() == 2.0
    assert coverage_loss(torch.zeros(2, 1, 0, 4)).tolist() == [[0.0], [0.0]]


def test_what_stands_in_steps_that_do_not_count_changes_nothing() -> None:
    alignments = numbers(1, 2, 3, 4).softmax(-1)
    mask = torch.tensor([[True, True, False]])
    broken = alignments.clone()
    broken[:, :, 2] = torch.nan
    assert torch.equal(coverage_loss(broken, mask), coverage_loss(alignments[:, :, :2]))


def test_gradients_of_the_loss(check_gradients: Callable[..., None]) -> None:
    mask = torch.tensor([[True] * 4, [True] * 2 + [False] * 2])
    check_gradients(
        torch.nn.Identity(), lambda a: coverage_loss(a, mask), numbers(2, 2, 4, 3).softmax(-1)
    )
