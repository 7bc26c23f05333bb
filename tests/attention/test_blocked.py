"""What is special about the blocked kernel: its blocks, and everything that comes after scores."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from kochi.attention import Attention, AttentionState, MultiHeadAttention, build
from kochi.attention.kernels import blocked
from kochi.attention.scores import Additive
from kochi.attention.scores.additive import additive_score
from kochi.attention.scores.location_aware import location_aware_score

Gradients = Callable[..., list[Tensor]]


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("block", [1, 40, 200, 1000, 10**9])
@pytest.mark.parametrize(("rows", "target", "source"), [(2, 7, 5), (3, 1, 11), (1, 63, 1)])
def test_however_it_is_cut(
    rows: int,
    target: int,
    source: int,
    block: int,
    heads: int,
    gradients: Gradients,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(blocked.BLOCK, "cpu", block)
    shapes = (rows, heads, target, 13), (rows, heads, source, 13), (heads, 13)
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    scores, expected = blocked.blocked_scores(*inputs), additive_score(*inputs)
    torch.testing.assert_close(scores, expected)
    torch.testing.assert_close(gradients(scores, inputs), gradients(expected, inputs))


@pytest.mark.parametrize("target", [1, 3])
@pytest.mark.parametrize("far", [0.1, 19.0, 21.0, 60.0, 1e30])
def test_numbers_however_far(target: int, far: float, gradients: Gradients) -> None:
    """Products of exponentials serve up to a limit; beyond it nothing may overflow."""
    signs = [torch.randn(shape).sign() for shape in ((2, 1, target, 8), (2, 1, 5, 8))]
    query, keys = (far * sign + torch.randn(sign.shape) for sign in signs)
    inputs = [one.requires_grad_() for one in (query, keys, torch.randn(1, 8))]
    scores, expected = blocked.blocked_scores(*inputs), additive_score(*inputs)
    torch.testing.assert_close(scores, expected, rtol=1e-5, atol=2e-6)
    for one, other in zip(gradients(scores, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-6)


def test_gradcheck() -> None:
    shapes = (2, 2, 3, 4), (2, 2, 5, 4), (2, 4)
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(blocked.blocked_scores, inputs)


def test_autocast_rounds_as_the_reference_does() -> None:
    inputs = [torch.randn(shape) for shape in ((2, 1, 7, 64), (2, 1, 9, 64), (1, 64))]
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = blocked.blocked_scores(*inputs), additive_score(*inputs)
    assert found.dtype == expected.dtype == torch.bfloat16
    largest = expected.abs().max().item()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-2 * largest)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_what_comes_after_the_scores_is_the_reference(dropout: float, temperature: float) -> None:
    first, second = (
        build(
            "additive",
            "causal",
            {"kind": "soft", "temperature": temperature},
            query_size=6,
            memory_size=6,
            num_heads=2,
            dropout=dropout,
            kernel=kernel,
        )
        for kernel in ("reference", "blocked")
    )
    second.load_state_dict(first.state_dict())
    query, memory, results = torch.randn(2, 5, 6), torch.randn(2, 7, 6), []
    for module in (first, second, second):
        torch.manual_seed(3)
        need_alignment = len(results) < 2
        results.append(module(query, module.project(memory), need_alignment=need_alignment))
    torch.testing.assert_close(results[1].context, results[0].context)
    torch.testing.assert_close(results[1].alignment, results[0].alignment)
    assert torch.equal(results[2].context, results[1].context)


def test_the_rule_takes_it_for_large_hidden_layers() -> None:
    module = build("additive", query_size=256, memory_size=256)
    assert module.explain(128, 512, batch=8).startswith("kernel 'blocked'")
    rest: Any
    for rest in ({}, {"dtype": torch.bfloat16}, {"device": "cuda"}, {"need_gradient": False}):
        assert module.explain(1, 16, batch=2**10, **rest).startswith("kernel 'reference'")
        assert module.explain(1, 16, batch=2**10 + 1, **rest).startswith("kernel 'blocked'")


def test_only_additive_scores_are_served() -> None:
    message = "'blocked' cannot serve: the score Dot is not the additive or the location-aware one"
    with pytest.raises(ValueError, match=message):
        build("dot", query_size=8, memory_size=8, kernel="blocked")


def test_the_normalised_score(gradients: Gradients) -> None:
    query, memory, results = torch.randn(2, 5, 6), torch.randn(2, 7, 6), []
    weights: dict[str, Tensor] = {}
    for kernel in ("reference", "blocked"):
        score = {"kind": "additive", "normalize": True}
        module = build(score, query_size=6, memory_size=6, num_heads=2, kernel=kernel).double()
        module.load_state_dict(weights or module.state_dict())
        weights = module.state_dict()
        assert isinstance(module.score, Additive)
        torch.nn.init.constant_(module.score.scale, 3.0)
        inputs = [query.double().requires_grad_(), memory.double().requires_grad_()]
        context = module(inputs[0], module.project(inputs[1])).context
        results.append([context, *gradients(context, [*inputs, *module.parameters()])])
    torch.testing.assert_close(results[1], results[0])


LOCATED = {"kind": "location_aware", "hidden_size": 13, "filters": 3, "width": 5}
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 3e-2}


def located_twins(heads: int, dtype: torch.dtype) -> list[Attention | MultiHeadAttention]:
    """Return the reference and the blocked kernel with the same weights."""
    modules = [
        build(LOCATED, query_size=6, memory_size=6, num_heads=heads, kernel=kernel).to(dtype)
        for kernel in ("reference", "blocked")
    ]
    modules[1].load_state_dict(modules[0].state_dict())
    return modules


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("block", [1, 200, 10**9])
def test_location_aware_equals_the_reference(
    block: int,
    heads: int,
    dtype: torch.dtype,
    gradients: Gradients,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(blocked.BLOCK, "cpu", block)
    query, memory = torch.randn(3, 5, 6).to(dtype), torch.randn(3, 17, 6).to(dtype)
    mask = torch.rand(3, 17) < 0.7
    mask[0] = False
    results: list[list[Tensor]] = []
    for module in located_twins(heads, dtype):
        inputs = [query.clone().requires_grad_(), memory.clone().requires_grad_()]
        output = module(inputs[0], module.project(inputs[1], mask), need_alignment=True)
        assert output.alignment is not None
        answered = torch.cat((output.context.flatten(), output.alignment.flatten()))
        found = gradients(answered, [*inputs, *module.parameters()])
        results.append([answered, *found])
    for start, stop in ((0, 1), (1, None)):
        largest = max(tensor.abs().max().item() for tensor in results[0][start:stop])
        for one, other in zip(results[1][start:stop], results[0][start:stop], strict=True):
            assert one.isfinite().all()
            torch.testing.assert_close(one, other, rtol=0, atol=TOLERANCE[dtype] * largest)


def test_beams_that_look_back() -> None:
    reference, module = located_twins(2, torch.float64)
    query, memory = torch.randn(3, 4, 6).double(), torch.randn(3, 17, 6).double()
    state = reference.step(query, reference.project(memory), AttentionState()).state
    found, expected = (
        one.step(query, one.project(memory), state).context for one in (module, reference)
    )
    torch.testing.assert_close(found, expected)


def test_gradcheck_with_features() -> None:
    shapes = (2, 2, 3, 4), (2, 2, 5, 4), (2, 4), (2, 2, 3, 5, 2), (2, 4, 2)
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(blocked.blocked_scores, inputs)
    query, keys, vector, features, weight = inputs
    expected = location_aware_score(query, keys, features, weight, vector)
    torch.testing.assert_close(blocked.blocked_scores(*inputs), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_of_the_hidden_layer_is_kept(dtype: torch.dtype) -> None:
    batch, source = 2, 17
    memory, kept = torch.randn(batch, source, 6).to(dtype), []
    for module in located_twins(1, dtype):
        numbers: dict[int, int] = {}  # of each storage that is kept for the gradient

        def pack(tensor: Tensor, numbers: dict[int, int] = numbers) -> Tensor:
            storage = tensor.untyped_storage()
            numbers[storage.data_ptr()] = storage.nbytes() // tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            query = torch.randn(batch, 7, 6).to(dtype).requires_grad_()
            context = module(query, module.project(memory)).context
        kept.append(sum(size >= batch * source * 13 for size in numbers.values()))
        context.sum().backward()
    assert kept[0] >= 7  # one or more for every query
    assert kept[1] == 1  # the keys


def test_the_rule_takes_it_where_much_would_be_kept() -> None:
    module = build("location_aware", query_size=256, memory_size=256)
    assert module.explain(60, 500, batch=16) == (
        "kernel 'blocked': each query has a hidden layer of 2.05 million numbers: it is computed "
        "anew for the gradient"
    )
    assert "2.05 million numbers, of which nothing is kept without a gradient" in module.explain(
        60, 500, batch=16, need_gradient=False
    )
    assert module.explain(60, 50, batch=16).startswith("kernel 'reference': each query has a hid")


@pytest.mark.parametrize("largest", [0.1, 19.0, 21.0, 1e4])
def test_far_numbers(largest: float, gradients: Gradients) -> None:
    """Up to 20 a product of exponentials stands for the tanh, beyond it the tanh itself."""
    query, keys = torch.randn(2, 1, 5, 7), torch.randn(2, 1, 11, 7)
    query, keys = query / query.abs().max() * largest, -keys / keys.abs().max() * largest
    vector, results = torch.randn(1, 7), []
    for score in (additive_score, blocked.blocked_scores):
        inputs = [tensor.clone().requires_grad_() for tensor in (query, keys, vector)]
        scores = score(*inputs)
        results.append([scores, *gradients(scores, inputs)])
    torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-5)
