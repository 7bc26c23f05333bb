"""Selections that draw one position, and the exact marginal, against the sum over all choices."""

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from kochi.attention import build
from kochi.attention.selections import (
    Choice,
    Gumbel,
    Hard,
    StraightThrough,
    marginal_log_likelihood,
)
from kochi.attention.selections.gumbel import gumbel_softmax
from kochi.attention.selections.hard import choice_of
from kochi.attention.selections.soft import masked_softmax

REWARD = torch.tensor([1.0, -2.0, 5.0, 9.0], dtype=torch.float64)
VISIBLE = torch.tensor([True, True, True, False])
SIZES: dict[str, Any] = {"query_size": 4, "memory_size": 4}


def some_scores() -> Tensor:
    return torch.tensor([0.3, -0.5, 0.2, 4.0], dtype=torch.float64, requires_grad=True)


def exact_gradient() -> Tensor:
    """Of the expected reward."""
    scores = some_scores()
    (masked_softmax(scores, VISIBLE) * REWARD).sum().backward()
    assert scores.grad is not None
    return scores.grad


@pytest.mark.parametrize("baseline", [0.0, 1.7])
def test_the_score_function_gradient_is_exact_in_expectation(baseline: float) -> None:
    total = torch.zeros(4, dtype=torch.float64)
    for position in range(3):
        scores = some_scores()
        log_probability, _ = choice_of(torch.eye(4, dtype=torch.float64)[position], scores, VISIBLE)
        ((REWARD[position] - baseline) * log_probability).backward()
        assert scores.grad is not None
        total += log_probability.detach().exp() * scores.grad
    torch.testing.assert_close(total, exact_gradient())


def test_the_score_function_gradient_by_drawing() -> None:
    """The mean of n draws is within 4.5 standard errors: by chance less than 1 in 10^5 times."""
    draws = 40_000
    scores = some_scores().detach().expand(1, 1, draws, 4).clone().requires_grad_()
    choice = Hard()(scores, VISIBLE.view(1, 1, 1, 4))
    reward = (choice.alignment * REWARD).sum(-1)
    (reward * choice.log_probability).sum().backward()
    assert scores.grad is not None
    each = scores.grad[0, 0]
    error = each.std(0) / math.sqrt(draws)
    assert ((each.mean(0) - exact_gradient()).abs() <= 4.5 * error).all()


def test_draws_follow_the_softmax() -> None:
    draws = 40_000
    scores = some_scores().detach().expand(1, 1, draws, 4)
    share = masked_softmax(scores[0, 0, 0], VISIBLE)
    error = (share * (1.0 - share) / draws).sqrt()
    for selection in (Hard(), StraightThrough(), Gumbel(temperature=0.3, hard=True)):
        found = selection(scores, VISIBLE.view(1, 1, 1, 4))
        found = found.alignment if isinstance(found, Choice) else found
        assert ((found.mean((0, 1, 2)) - share).abs() <= 4.5 * error).all()


def test_the_likeliest_position_outside_training() -> None:
    scores = some_scores()[None, None, None]
    visible = VISIBLE[None, None, None]
    choice = Hard().eval()(scores, visible)
    assert choice.alignment.flatten().tolist() == [1, 0, 0, 0]
    assert not choice.alignment.requires_grad
    log_alignment = masked_softmax(scores, visible)[..., :3].log()
    torch.testing.assert_close(choice.log_probability, log_alignment[..., 0])
    entropy = -(log_alignment.exp() * log_alignment).sum(-1)
    torch.testing.assert_close(choice.entropy, entropy)


def test_nothing_to_choose_from() -> None:
    scores = torch.full((1, 1, 2, 3), torch.nan, requires_grad=True)
    for selection in (Hard(), Hard().eval()):
        choice = selection(scores, torch.zeros(1, 1, 1, 3, dtype=torch.bool))
        assert all((part == 0).all() for part in choice)
        (gradient,) = torch.autograd.grad((choice.log_probability + choice.entropy).sum(), scores)
        assert (gradient == 0).all()


@pytest.mark.parametrize("empty", [False, True])
def test_gradients_of_log_probability_and_entropy(empty: bool) -> None:
    scores = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    position = torch.eye(4, dtype=torch.float64)[[0, 2, 1]]
    visible = torch.stack([VISIBLE, VISIBLE, VISIBLE & (not empty)])
    position = position * visible
    assert torch.autograd.gradcheck(lambda scores: choice_of(position, scores, visible), (scores,))


def test_the_attention_hands_out_what_was_drawn() -> None:
    module = build("dot", "global", "hard", query_size=4, memory_size=4)
    query = torch.randn(2, 3, 4, requires_grad=True)
    _, alignment, state = module(query, module.project(torch.randn(2, 5, 4)), need_alignment=True)
    assert alignment is not None and ((alignment == 0) | (alignment == 1)).all()
    assert state.draws is not None and state.draws.log_probability.shape == (2, 1, 3)
    state.draws.log_probability.sum().backward()
    assert query.grad is not None and query.grad.abs().sum() > 0


@pytest.mark.parametrize("sample", [False, True])
def test_straight_through_has_the_gradient_of_the_softmax(sample: bool) -> None:
    found, soft = some_scores(), some_scores()
    one = StraightThrough(sample=sample)(found[None, None, None], VISIBLE[None, None, None])
    assert sorted(one.flatten().tolist()) == [0, 0, 0, 1]
    (one * REWARD).sum().backward()
    (masked_softmax(soft, VISIBLE) * REWARD).sum().backward()
    assert found.grad is not None and soft.grad is not None
    torch.testing.assert_close(found.grad, soft.grad)


def test_straight_through_without_sampling_takes_the_best() -> None:
    scores = torch.randn(2, 3, 5, 7)
    found = StraightThrough(sample=False)(scores, None)
    assert torch.equal(found.argmax(-1), scores.argmax(-1))
    assert torch.equal(found, StraightThrough().eval()(scores, None))


def test_gumbel_softmax_as_a_loop() -> None:
    scores, noise = some_scores().detach(), torch.randn(4, dtype=torch.float64)
    found = gumbel_softmax(scores, VISIBLE, noise, 0.7)
    weights = [math.exp((s + g) / 0.7) for s, g in zip(scores[:3], noise[:3], strict=True)]
    expected = torch.tensor([*(w / sum(weights) for w in weights), 0.0], dtype=torch.float64)
    torch.testing.assert_close(found, expected)


def test_gumbel_draws_nothing_outside_training() -> None:
    scores = torch.randn(2, 3, 5, 7)
    assert torch.equal(Gumbel(temperature=0.2).eval()(scores, None), masked_softmax(scores, None))
    hard = Gumbel(temperature=0.2, hard=True).eval()(scores, None)
    assert torch.equal(hard, StraightThrough().eval()(scores, None))


def test_the_marginal_is_the_sum_over_all_paths() -> None:
    steps, source = 3, 4
    alignment = torch.rand(steps, source, dtype=torch.float64).softmax(-1)
    alignment[1] = sum_to_one(alignment[1] * VISIBLE)
    likelihood = torch.rand(steps, source, dtype=torch.float64)
    total = 0.0
    for path in product(range(source), repeat=steps):
        chance = 1.0
        for step, position in enumerate(path):
            chance *= (alignment[step, position] * likelihood[step, position]).item()
        total += chance
    found = marginal_log_likelihood(alignment, likelihood.log()).sum().item()
    assert found == pytest.approx(math.log(total), rel=1e-12)


def sum_to_one(row: Tensor) -> Tensor:
    return row / row.sum()


def test_the_marginal_of_nothing() -> None:
    alignment = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    likelihood = torch.tensor([[-100.0, -100.0, torch.nan], [torch.nan] * 3], requires_grad=True)
    found = marginal_log_likelihood(alignment, likelihood)
    assert found.tolist() == [-100.0, 0.0]
    found.sum().backward()
    wanted = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(alignment.grad, wanted, rtol=1e-5, atol=0)
    torch.testing.assert_close(likelihood.grad, wanted / 2.0, rtol=1e-5, atol=0)
    assert marginal_log_likelihood(torch.zeros(2, 0), torch.zeros(2, 0)).tolist() == [0.0, 0.0]


def test_gradients_of_the_marginal() -> None:
    scores = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    likelihood = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    visible = torch.stack([VISIBLE, VISIBLE, ~VISIBLE])

    def run(scores: Tensor, likelihood: Tensor) -> Tensor:
        return marginal_log_likelihood(masked_softmax(scores, visible), likelihood)

    assert torch.autograd.gradcheck(run, (scores, likelihood))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_gradient_with_an_expected_share_is_the_two_mixed(share: float) -> None:
    """Over many sentences: the loss is not linear, so that hard and soft differ in expectation.

    The mean of n sentences is within 4.5 standard errors: by chance less than 1 in 10^5 times.
    """
    draws = 40_000
    scores = some_scores().detach().expand(draws, 1, 1, 4).clone().requires_grad_()
    choice = Hard(expected_share=share)(scores, VISIBLE.view(1, 1, 1, 4))
    reward = (choice.alignment * REWARD).sum(-1).square()
    (reward + reward.detach() * choice.log_probability).sum().backward()
    assert scores.grad is not None
    each = scores.grad[:, 0, 0]
    expected = torch.zeros(4, dtype=torch.float64)
    for weight, soft in ((1.0 - share, False), (share, True)):
        one = some_scores()
        alignment = masked_softmax(one, VISIBLE)
        read = (alignment * REWARD).sum().square() if soft else (alignment * REWARD**2).sum()
        (weight * read).backward()
        assert one.grad is not None
        expected += one.grad
    error = each.std(0) / math.sqrt(draws)
    assert ((each.mean(0) - expected).abs() <= 4.5 * error + 1e-12).all()


def test_what_an_expected_sentence_hands_out() -> None:
    scores = torch.randn(500, 2, 3, 4, requires_grad=True)
    visible = VISIBLE.view(1, 1, 1, 4)
    choice = Hard(expected_share=0.4)(scores, visible)
    soft = masked_softmax(scores, visible)
    is_soft = (choice.alignment == soft).all(-1)
    expected = is_soft[:, 0, 0]
    assert torch.equal(is_soft, expected[:, None, None].expand_as(is_soft))  # for all of a sentence
    assert expected.sum().item() == pytest.approx(200, abs=4.5 * math.sqrt(500 * 0.24))
    assert (choice.log_probability[expected] == 0).all()
    assert (choice.log_probability[~expected] < 0).all()
    assert ((choice.alignment == 1).sum(-1) == 1)[~expected].all()
    torch.testing.assert_close(choice.entropy, Hard().eval()(scores, visible).entropy)
    (gradient,) = torch.autograd.grad(choice.log_probability.sum(), scores, retain_graph=True)
    assert (gradient[expected] == 0).all()
    values = torch.randn(4)
    (gradient,) = torch.autograd.grad((choice.alignment @ values).sum(), scores)
    (wanted,) = torch.autograd.grad((soft @ values).sum(), scores)
    torch.testing.assert_close(gradient[expected], wanted[expected])
    assert (gradient[~expected] == 0).all()


def test_an_expected_share_is_for_training_only() -> None:
    scores = torch.randn(2, 3, 5, 7)
    found = Hard(expected_share=1.0).eval()(scores, None)
    assert torch.equal(found.alignment, Hard().eval()(scores, None).alignment)


def test_a_share_of_zero_draws_as_before() -> None:
    module = build("dot", "global", {"kind": "hard", "expected_share": 0.0}, **SIZES)
    plain = build("dot", "global", "hard", **SIZES)
    query, memory = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    contexts = []
    for one in (module, plain):
        torch.manual_seed(1)
        contexts.append(one(query, one.project(memory)).context)
    assert torch.equal(*contexts)


@pytest.mark.parametrize("score", ["dot", "location_aware"])
@pytest.mark.parametrize("heads", [1, 2])
def test_it_is_tossed_once_for_a_sentence(score: str, heads: int) -> None:
    """In one call, step by step, and when some sentences drop out."""
    selection = {"kind": "hard", "expected_share": 0.5}
    module = build(score, "global", selection, num_heads=heads, **SIZES)
    query, memory = torch.randn(40, 6, 4), torch.randn(40, 5, 4)
    projected = module.project(memory)
    alignment = module(query, projected, need_alignment=True).alignment
    assert alignment is not None
    soft = (alignment < 1).all(-1).flatten(1)
    assert torch.equal(soft.all(1), soft.any(1))
    assert soft.any() and not soft.all()
    rows = torch.arange(0, 40, 3)
    state, seen = None, []
    for step in range(6):
        one = query[:, step : step + 1]
        if step == 3:
            assert state is not None
            state, projected, query = state.keep(rows), projected.rows(rows), query[rows]
            one = query[:, step : step + 1]
        output = module(one, projected, state=state, need_alignment=True)
        state = output.state
        assert output.alignment is not None
        found = (output.alignment < 1).all(-1).flatten(1)
        assert torch.equal(found.all(1), found.any(1))
        seen.append(found[:, 0] if step >= 3 else found[rows, 0])
    assert all(torch.equal(one, seen[0]) for one in seen)
    assert seen[0].any() and not seen[0].all()


def test_a_state_resumes_the_same_draws() -> None:
    """All chance comes from torch's generator: its state and the attention's are enough."""
    module = build("dot", "global", {"kind": "hard", "expected_share": 0.5}, **SIZES)
    query, projected = torch.randn(9, 6, 4), module.project(torch.randn(9, 5, 4))
    state = module(query[:, :2], projected).state
    kept = torch.get_rng_state()
    first = module(query[:, 2:], projected, state=state, need_alignment=True)
    torch.set_rng_state(kept)
    again = module(query[:, 2:], projected, state=state, need_alignment=True)
    assert first.alignment is not None and again.alignment is not None
    assert torch.equal(first.alignment, again.alignment)


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_a_share_out_of_range(share: float) -> None:
    with pytest.raises(ValueError, match=r"expected_share: got .*, expected a number from 0 to 1"):
        Hard(expected_share=share)
