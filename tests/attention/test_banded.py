"""The banded kernel against the reference, in value and in every gradient."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from kochi.attention import Attention, AttentionMask, MultiHeadAttention, build
from kochi.attention.kernels import banded as kernel_file
from tests.covering import pairwise_product

Gradients = Callable[..., list[Tensor]]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 3e-2}
WINDOWS = [(3, 0), (0, 4), (20, 9), (0, 0), (500, 500)]


def twins(left: int, right: int, **options: Any) -> list[Attention | MultiHeadAttention]:
    """Return the reference and the banded kernel with the same weights."""
    scope = {"kind": "sliding_window", "left": left, "right": right}
    modules = [
        build("scaled_dot", scope, query_size=8, memory_size=8, kernel=kernel, **options)
        for kernel in ("reference", "banded")
    ]
    modules[1].load_state_dict(modules[0].state_dict())
    return modules


def close(found: list[Tensor], expected: list[Tensor], dtype: torch.dtype) -> None:
    """Compare, relative to the largest number of all: some gradients are sums that cancel."""
    largest = max(tensor.abs().max().item() for tensor in expected)
    for one, other in zip(found, expected, strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(one, other, rtol=0, atol=TOLERANCE[dtype] * largest)


@pairwise_product(
    length=(63, 257), window=WINDOWS, heads=(1, 2), masked=(False, True), dtype=TOLERANCE
)
def test_banded_equals_the_reference(
    length: int,
    window: tuple[int, int],
    heads: int,
    masked: bool,
    dtype: torch.dtype,
    gradients: Gradients,
) -> None:
    query, values = torch.randn(2, length, 8).to(dtype), torch.randn(2, length, 8).to(dtype)
    mask = None
    if masked:  # sentence 0 has queries whose whole window is hidden, and NaN there
        mask = torch.rand(2, length) < 0.7
        mask[0, length // 3 :] = False
        values = values.masked_fill(~mask.unsqueeze(-1), torch.nan)
    results: list[list[Tensor]] = []
    for module in twins(*window, num_heads=heads):
        module.to(dtype)
        inputs = [query.clone().requires_grad_(), values.clone().requires_grad_()]
        context = module(inputs[0], module.project(inputs[1], mask)).context
        results.append([context, *gradients(context, [*inputs, *module.parameters()])])
        with torch.no_grad():
            silent = module(query, module.project(values, mask)).context
        assert torch.equal(silent, context)
    close(results[1][:1], results[0][:1], dtype)
    close(results[1][1:], results[0][1:], dtype)


@pytest.mark.parametrize("block", [1, 2000, 10**9])
def test_however_it_is_cut(
    block: int, gradients: Gradients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(kernel_file.BLOCK, "cpu", block)
    values, results = torch.randn(3, 101, 8, dtype=torch.float64, requires_grad=True), []
    for module in twins(5, 2, num_heads=2):
        context = module.double()(values, module.project(values)).context
        results.append([context, *gradients(context, [values, *module.parameters()])])
    torch.testing.assert_close(results[1], results[0])


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_asking_for_the_alignment_never_changes_the_context(dropout: float) -> None:
    reference, module = twins(4, 4, dropout=dropout)
    values, results = torch.randn(2, 50, 8), []
    for need_alignment in (False, True):
        torch.manual_seed(3)
        results.append(module(values, module.project(values), need_alignment=need_alignment))
    assert torch.equal(results[0].context, results[1].context)
    expected = reference(values, reference.project(values), need_alignment=True).alignment
    torch.testing.assert_close(results[1].alignment, expected)


def test_the_gradient_of_dropout_is_that_of_what_was_kept() -> None:
    module = twins(3, 2, dropout=0.4)[1].double()

    def context(values: Tensor) -> Tensor:
        torch.manual_seed(3)
        return module(values, module.project(values)).context

    values = torch.randn(2, 9, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(context, [values], fast_mode=True)


def test_dropout_keeps_the_mean() -> None:
    module = twins(1, 2, dropout=0.25)[1]
    values = torch.ones(4000, 5, 8)
    context = module(torch.zeros(4000, 5, 8), module.project(values)).context[:, 2, 0]
    assert context.min() < 1.0 < context.max()
    # Each of 4 positions has weight 1/4: variance 1/12, as for the reference.
    assert context.mean().item() == pytest.approx(1.0, abs=5 * 0.0046)


def test_the_whole_mask_is_never_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(*_: object) -> Tensor:
        raise AssertionError("built the whole mask")

    scope = {"kind": "sliding_window", "left": 9, "right": 9}
    module = build("dot", scope, query_size=8, memory_size=8)
    monkeypatch.setattr(AttentionMask, "whole", whole)
    monkeypatch.setattr(type(module.scope), "forward", whole)
    values = torch.randn(2, 999, 8, requires_grad=True)
    mask = torch.rand(2, 999) < 0.5
    context = module(values, module.project(values, mask)).context
    context.sum().backward()
    assert context.isfinite().all()
    with pytest.raises(AssertionError, match="built the whole mask"):  # as any other kernel would
        module(values[:, :9], module.project(values[:, :9], mask[:, :9]))


def test_a_call_that_it_cannot_serve_is_refused() -> None:
    module = twins(3, 3)[1]
    values = torch.randn(2, 9, 8)
    projected = module.project(values)
    message = "kernel: 'banded' cannot serve this call: "
    with pytest.raises(ValueError, match=message + "queries and keys are not one sequence"):
        module(values[:, :3], projected)
    with pytest.raises(ValueError, match=message + "the mask is not the same for all queries"):
        module(values, projected, mask=torch.ones(2, 9, 9, dtype=torch.bool))


def test_parts_that_it_cannot_serve_are_refused() -> None:
    scope = {"kind": "sliding_window", "left": 3, "right": 0}
    with pytest.raises(ValueError, match="cannot serve: the scope Global is not a sliding window"):
        build("dot", query_size=8, memory_size=8, kernel="banded")
    with pytest.raises(ValueError, match="cannot serve: the score Additive is not a dot product"):
        build("additive", scope, query_size=8, memory_size=8, kernel="banded")
