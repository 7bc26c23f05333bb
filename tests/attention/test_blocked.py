"""What is special about the blocked kernel: its blocks, and everything that comes after scores."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kochi.attention import build
from kochi.attention.kernels import blocked
from kochi.attention.scores.additive import additive_score

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


def test_the_normalised_score() -> None:
    first, second = (
        build({"kind": "additive", "normalize": True}, query_size=6, memory_size=6, kernel=kernel)
        for kernel in ("reference", "blocked")
    )
    for name, parameter in first.named_parameters():
        if name == "score.scale":
            parameter.data.fill_(5.0)
    second.load_state_dict(first.state_dict())
    query, memory = torch.randn(2, 5, 6), torch.randn(2, 7, 6)
    contexts = [module(query, module.project(memory)).context for module in (first, second)]
    torch.testing.assert_close(contexts[1], contexts[0])


def test_the_rule_takes_it_for_large_hidden_layers() -> None:
    module = build("additive", query_size=256, memory_size=256)
    assert module.explain(128, 512, batch=8).startswith("kernel 'blocked'")
    assert module.explain(1, 15, batch=300).startswith("kernel 'reference'")


def test_only_the_additive_score_is_served() -> None:
    message = "kernel: 'blocked' cannot serve: the score Dot is not the additive one"
    with pytest.raises(ValueError, match=message):
        build("dot", query_size=8, memory_size=8, kernel="blocked")
