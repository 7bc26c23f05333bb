"""Walks against the sum over all paths."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from kochi.attention import Positions, build
from kochi.attention.history import Past, then
from kochi.attention.selections import Chunkwise, Monotonic, Walk
from kochi.attention.selections.chunkwise import spread_over_chunks
from kochi.attention.selections.monotonic import expected_walk


def all_paths(stop: Tensor) -> Tensor:
    """Return, for each step and position, the probability that the walk stops there.

    ``stop[t, s]``. A path is a position for each step; position SOURCE is off the end, for good.
    """
    steps, source = stop.shape
    alignment = torch.zeros_like(stop)
    for path in product(range(source + 1), repeat=steps):
        chance, start = 1.0, 0
        for step, position in enumerate(path):
            if position < start:
                chance = 0.0
                break
            for passed in range(start, min(position, source)):
                chance *= 1.0 - stop[step, passed].item()
            if position < source:
                chance *= stop[step, position].item()
            start = position
        for step, position in enumerate(path):
            if position < source:
                alignment[step, position] += chance
    return alignment


@pytest.mark.parametrize("source", [1, 2, 5])
def test_equals_the_sum_over_all_paths(source: int) -> None:
    stop = torch.rand(4, source, dtype=torch.float64)
    previous = torch.eye(source, dtype=torch.float64)[0]
    for step, expected in enumerate(all_paths(stop)):
        previous = expected_walk(stop[step], previous)
        torch.testing.assert_close(previous, expected, rtol=1e-13, atol=1e-15)


def test_equals_the_recurrence_in_a_long_source() -> None:
    stop = torch.rand(401, dtype=torch.float64)
    stop[100:120] = 1.0
    stop[200:220] = 0.0
    previous = torch.rand(401, dtype=torch.float64).softmax(0).requires_grad_()
    reached, expected = 0.0, []
    for position in range(401):
        passed = 1.0 - stop[position - 1].item() if position else 0.0
        reached = passed * reached + previous[position].item()
        expected.append(stop[position].item() * reached)
    stop.requires_grad_()
    found = expected_walk(stop, previous)
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=0
    )
    found.square().sum().backward()
    assert stop.grad is not None and stop.grad.isfinite().all()


def test_the_hard_walk_by_hand() -> None:
    walk = Monotonic(offset=0.0).eval()
    yes, no = 1.0, -1.0
    scores = [[yes, yes, no, no], [no, no, yes, yes], [yes, yes, yes, no], [yes, yes, no, no]]
    expected = [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    past = None
    for row, wanted in zip([*scores, [yes] * 4], [*expected, [0, 0, 0, 0]], strict=True):
        alignment = walk(torch.tensor([[[row]]]), None, past)
        assert alignment.flatten().tolist() == wanted
        assert alignment.dtype == torch.float32
        past = then(past, alignment)


def test_a_walk_passes_hidden_positions() -> None:
    visible = torch.tensor([[[[False, True, False, True]]]])
    scores = torch.full((1, 1, 1, 4), 1.0)
    alignment = Monotonic(offset=0.0).eval()(scores, visible, None)
    assert alignment.flatten().tolist() == [0, 1, 0, 0]
    expected = Monotonic(noise=0.0, offset=0.0)(torch.zeros(1, 1, 1, 4), visible, None)
    assert expected.flatten().tolist() == [0.0, 0.5, 0.0, 0.25]


def test_training_with_sure_scores_is_the_hard_walk() -> None:
    walk = Monotonic(noise=0.0, offset=0.0)
    scores = 1000.0 * torch.randn(2, 3, 5, 7).sign()
    past = Past(*[torch.eye(7)[torch.randint(7, (2, 3, 5))]] * 2)
    sure = walk.train()(scores, None, past)
    torch.testing.assert_close(sure, walk.eval()(scores, None, past))


def test_noise_is_drawn_in_training_only() -> None:
    walk, scores = Monotonic(), torch.randn(1, 1, 2, 5)
    assert not torch.equal(walk(scores, None, None), walk(scores, None, None))
    walk.eval()
    assert torch.equal(walk(scores, None, None), walk(scores, None, None))


@pytest.mark.parametrize("window", [1, 2, 3, 9])
def test_chunks_equal_the_formula_as_a_loop(window: int) -> None:
    standing, scores = torch.rand(5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    visible = torch.tensor([True, False, True, True, True])
    expected = torch.zeros(5, dtype=torch.float64)
    for end in (0, 2, 3, 4):
        chunk = [
            position for position in range(max(0, end - window + 1), end + 1) if visible[position]
        ]
        total = sum(scores[position].exp() for position in chunk)
        for position in chunk:
            expected[position] += standing[end] * scores[position].exp() / total
    found = spread_over_chunks(torch.where(visible, standing, 0.0), scores, visible, window)
    torch.testing.assert_close(found, expected)


def test_a_window_of_one_is_monotonic() -> None:
    scores = torch.randn(2, 3, 1, 7)
    one, other = Chunkwise(3, window=1, noise=0.0), Monotonic(3, noise=0.0)
    past, past_chunks = None, None
    for _ in range(3):
        alignment = other(scores, None, past)
        walk = one(scores, None, past_chunks)
        assert isinstance(walk, Walk)
        assert walk.standing.dtype == scores.dtype
        torch.testing.assert_close(walk.alignment, alignment)
        past, past_chunks = then(past, alignment), then(past_chunks, *walk)


@pytest.mark.parametrize("training", [False, True])
def test_chunkwise_goes_on_from_where_it_stood(training: bool) -> None:
    """Asked through the door: the walk underneath is that of `Monotonic`."""
    query, memory = 3.0 * torch.randn(2, 5, 4), torch.randn(2, 7, 4)
    options = {"noise": 0.0, "offset": 0.0}
    outputs = []
    for selection in (
        {"kind": "chunkwise", "window": 3, **options},
        {"kind": "monotonic"} | options,
    ):
        module = build("dot", "global", selection, query_size=4, memory_size=4).train(training)
        projected = module.project(memory)
        whole = module(query, projected, need_alignment=True)
        outputs.append(whole)
        state, steps = None, []
        for step in query.split(1, dim=1):
            output = module(step, projected, state=state, need_alignment=True)
            state = output.state
            steps.append(output.alignment)
        torch.testing.assert_close(torch.cat(steps, 1), whole.alignment)
    chunks, walk = outputs
    for step in range(5):
        scores = query[:, step : step + 1] @ memory.transpose(1, 2)
        expected = spread_over_chunks(walk.alignment[:, step : step + 1], scores, None, 3)
        torch.testing.assert_close(chunks.alignment[:, step : step + 1], expected)
    past = chunks.state.past
    assert past.reorder(torch.tensor([[0], [0]])).standing.shape == (2, 1, 1, 7)
    assert torch.equal(past.keep(torch.tensor([1])).standing, past.standing[1:])


def test_each_head_has_an_offset_of_its_own() -> None:
    chunks = Chunkwise(3, offset=-2.0)
    assert chunks.monotonic.offset.tolist() == Monotonic(3, offset=-2.0).offset.tolist()
    assert chunks.monotonic.offset.flatten().tolist() == [-2.0] * 3


def test_half_precision_keeps_its_type() -> None:
    scores = torch.randn(2, 3, 1, 7).bfloat16()
    for training in (True, False):
        walk = Chunkwise(3).train(training)(scores, None, None)
        assert walk.alignment.dtype == walk.standing.dtype == torch.bfloat16


def test_a_window_of_one_is_monotonic_in_a_predicted_window() -> None:
    torch.manual_seed(0)
    scope: Any = {"kind": "local_p", "width": 4}
    sizes: Any = {"query_size": 8, "memory_size": 8}
    one = build("general", scope, {"kind": "monotonic", "noise": 0.0}, **sizes).train()
    two = build("general", scope, {"kind": "chunkwise", "window": 1, "noise": 0.0}, **sizes)
    names = {name: name.replace("selection.", "selection.monotonic.") for name in one.state_dict()}
    two.load_state_dict({names[name]: value for name, value in one.state_dict().items()})
    query, memory = torch.randn(1, 12, 8), torch.randn(1, 30, 8)
    for training in (True, False):
        found = [
            module.train(training)(query, module.project(memory), need_alignment=True)
            for module in (one, two)
        ]
        torch.testing.assert_close(found[0].context, found[1].context)
        torch.testing.assert_close(found[0].alignment, found[1].alignment)


def test_a_predicted_window_takes_nothing_from_the_walk() -> None:
    torch.manual_seed(0)
    walk: Any = {"kind": "monotonic", "noise": 0.0}
    local: Any = build("dot", "local_p", walk, query_size=8, memory_size=8)
    query, memory, past = torch.randn(2, 12, 8), torch.randn(2, 30, 8), None
    for training in (True, False):
        output = local.train(training)(query, local.project(memory), need_alignment=True)
        scores = local.score(query[:, None], local.project(memory).keys)
        lengths, past = torch.tensor([30, 30]), None
        for step in range(12):
            alignment = local.selection(scores[:, :, step : step + 1], None, past)
            past = then(past, alignment)
            positions = Positions(1, 30, memory.device)
            window = local.scope(query[:, None, step : step + 1], positions, lengths)
            expected = (alignment * window.visible * window.prior).squeeze(1)
            torch.testing.assert_close(output.alignment[:, step : step + 1], expected)


def test_an_untrained_walk_that_ends_at_once_says_so() -> None:
    walk, scores = Monotonic().eval(), torch.full((2, 1, 1, 5), 0.5)
    message = r"^monotonic: no query attends to anything.*highest here is -0\.5\. A score that"
    with pytest.warns(UserWarning, match=message):
        walk(scores, None, None)
    with pytest.warns(UserWarning, match=message):
        Chunkwise().eval()(scores, torch.ones(1, 1, 1, 5, dtype=torch.bool), None)
    walk.train()(scores, None, None)  # expects, and never ends for sure
    hidden = torch.tensor([True, True, True, True, False])
    scores[..., 4] = 7.0
    with pytest.warns(UserWarning, match=message):
        walk.eval()(scores, hidden[None, None, None], None)
    with pytest.warns(UserWarning, match=r"the highest here is -4\."):
        walk(scores - 3.5, hidden[None, None, None], None)
    scores[1, 0, 0, 3] = 1.5
    walk.eval()(scores, None, None)  # one walk stops
    hidden = torch.zeros(1, 1, 1, 5, dtype=torch.bool)
    walk(scores, hidden, None)  # nothing could be attended to
    walk(scores[..., :0], None, None)


@pytest.mark.parametrize("score", [0.0, 0.5])
def test_a_walk_stops_from_a_half_on(score: float) -> None:
    """Section 2.2: z = 1 where p >= 0.5."""
    alignment = Monotonic(offset=0.0).eval()(torch.full((1, 1, 1, 3), score), None, None)
    assert alignment.flatten().tolist() == [1.0, 0.0, 0.0]
    below = torch.tensor([[[[-1e-3, score, 0.0]]]])
    assert Monotonic(offset=0.0).eval()(below, None, None).flatten().tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_the_noise_has_its_deviation(noise: float) -> None:
    walk = Monotonic(noise=noise, offset=0.0)
    stop = walk(torch.zeros(4000, 1, 1, 2, dtype=torch.float64), None, None)[..., 0]
    logit = stop.logit()
    assert logit.std().item() == pytest.approx(noise, rel=0.05)
    assert logit.mean().item() == pytest.approx(0.0, abs=0.1 * noise)
