"""Every kernel against the reference, in value and in every gradient."""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from kochi.attention import (
    Attention,
    AttentionMask,
    Band,
    MultiHeadAttention,
    Windows,
    build,
)
from kochi.attention.kernels import dispatch
from kochi.attention.kernels.base import KernelOutput
from kochi.attention.kernels.reference import reference
from kochi.attention.masking import add_bias
from tests.covering import pairwise

TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 3e-2}
"""Largest difference, relative to the largest number: float32 sums of 257 terms in another order;
bfloat16 has 8 bits, and the reference rounds the alignment to it where SDPA does not."""

CPU = torch.device("cpu")
Module = Attention | MultiHeadAttention
DOTS = (("dot", 1), ("scaled_dot", 2), ("general", 2))
Gradients = Callable[..., list[Tensor]]


def twins(score: str, scope: str, heads: int, kernel: str, dtype: torch.dtype) -> list[Module]:
    """Return the reference and the kernel under test with the same weights."""
    sizes: dict[str, Any] = {"query_size": 8, "memory_size": 8, "num_heads": heads}
    modules = [build(score, scope, kernel=name, **sizes) for name in ("reference", kernel)]
    modules[1].load_state_dict(modules[0].state_dict())
    return [module.to(dtype) for module in modules]


def masks(kind: str, batch: int, target: int, source: int) -> Tensor | None:
    """Draw a mask with an empty row: sentence 0 sees nothing, or its query 0."""
    if kind == "none":
        return None
    shape = (batch, source) if kind == "flat" else (batch, target, source)
    mask = torch.rand(shape) < 0.7
    mask[1:, ..., 0] = True
    (mask[0] if kind == "flat" else mask[0, 0]).fill_(False)
    return mask


def close(found: list[Tensor], expected: list[Tensor], dtype: torch.dtype) -> None:
    """Compare, relative to the largest number of all: some gradients are sums that cancel."""
    largest = max(tensor.abs().max().item() for tensor in expected)
    for one, other in zip(found, expected, strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(one, other, rtol=0, atol=TOLERANCE[dtype] * largest)


SCORED = [
    *((score, heads, kernel) for score, heads in DOTS for kernel in ("sdpa", "dense")),
    ("additive", 1, "blocked"),
    ("additive", 2, "blocked"),
]


@pytest.mark.parametrize(
    ("score", "heads", "kernel", "scope", "mask_kind", "dtype"),
    pairwise(
        (*scored, *rest)
        for scored in SCORED
        for rest in product(("global", "causal"), ("none", "flat", "full"), TOLERANCE)
    ),
)
def test_a_kernel_equals_the_reference(
    score: str,
    heads: int,
    kernel: str,
    scope: str,
    mask_kind: str,
    dtype: torch.dtype,
    gradients: Gradients,
) -> None:
    lengths = [(63, 63), (5, 257)]
    if dtype != torch.bfloat16:  # a few terms of 8 bits prove nothing
        lengths.append((6, 11))
    for target, source in lengths:
        modules = twins(score, scope, heads, kernel, dtype)
        mask = masks(mask_kind, 2, target, source)
        query, values = torch.randn(2, target, 8).to(dtype), torch.randn(2, source, 8).to(dtype)
        results: list[tuple[Tensor, list[Tensor]]] = []
        for module in modules:
            inputs = [query.clone().requires_grad_(), values.clone().requires_grad_()]
            context = module(inputs[0], module.project(inputs[1]), mask=mask).context
            results.append((context.detach(), gradients(context, [*inputs, *module.parameters()])))
            with torch.no_grad():
                silent = module(query, module.project(values), mask=mask).context
            close([silent], [context.detach()], dtype)
        close([results[1][0]], [results[0][0]], dtype)
        close(results[1][1], results[0][1], dtype)


@pytest.mark.parametrize("kernel", ["reference", "sdpa", "dense"])
@pytest.mark.parametrize("mask_kind", ["none", "flat", "full"])
def test_modules_of_one_scope_may_share_what_is_visible(kernel: str, mask_kind: str) -> None:
    first, second = twins("dot", "causal", 2, kernel, torch.float32)
    assert isinstance(first, MultiHeadAttention)
    assert isinstance(second, MultiHeadAttention)
    values, mask = torch.randn(2, 7, 8), masks(mask_kind, 2, 7, 7)
    visible = first.visible(7, first.project_self(values)[1], mask)
    for module in (first, second):
        query, projected = module.project_self(values)
        expected = module.attend_heads(query, projected, mask).context
        assert torch.equal(module.attend_heads(query, projected, visible=visible).context, expected)


@pytest.mark.parametrize("kernel", ["reference", "sdpa", "dense"])
@pytest.mark.parametrize("training", [True, False])
def test_asking_for_the_alignment_never_changes_the_context(kernel: str, training: bool) -> None:
    module = build(
        "dot", "causal", query_size=8, memory_size=8, num_heads=2, dropout=0.5, kernel=kernel
    ).train(training)
    projected, query = module.project(torch.randn(2, 7, 8)), torch.randn(2, 5, 8)
    contexts = []
    for need_alignment in (False, True):
        torch.manual_seed(3)
        output = module(query, projected, need_alignment=need_alignment)
        contexts.append(output.context)
        assert (output.alignment is not None) is need_alignment
    assert torch.equal(*contexts)


@pytest.mark.parametrize("kernel", ["reference", "sdpa", "dense"])
def test_dropout_acts_in_training_only_and_not_on_the_alignment_shown(kernel: str) -> None:
    module = build("dot", query_size=8, memory_size=8, dropout=0.9, kernel=kernel)
    plain = build("dot", query_size=8, memory_size=8, kernel=kernel)
    projected, query = module.project(torch.randn(2, 7, 8)), torch.randn(2, 5, 8)
    expected = plain(query, projected, need_alignment=True)
    trained = module(query, projected, need_alignment=True)
    assert not torch.allclose(trained.context, expected.context)
    torch.testing.assert_close(trained.alignment, expected.alignment)
    assert torch.equal(module.eval()(query, projected).context, expected.context)


def test_dropout_keeps_the_mean() -> None:
    module = build("dot", query_size=2, memory_size=2, dropout=0.25, kernel="reference")
    projected = module.project(torch.ones(1, 4, 2).expand(4000, 4, 2))
    context = module(torch.zeros(4000, 1, 2), projected).context
    # Each position has weight 1/4, dropped with probability 1/4, else divided by 3/4: variance
    # 4 * (1/4)^2 * (1/3) = 1/12, standard error of the mean sqrt(1/12/4000) = 0.0046.
    assert context[..., 0].mean().item() == pytest.approx(1.0, abs=5 * 0.0046)


def test_a_named_kernel_is_never_replaced() -> None:
    message = r"kernel: 'sdpa' cannot serve: the score Additive is not a dot product"
    with pytest.raises(ValueError, match=message):
        build("additive", query_size=8, memory_size=8, kernel="sdpa")
    with pytest.raises(ValueError, match=r"kernel: got 'fast', expected one of 'auto', 'refer"):
        build("additive", query_size=8, memory_size=8, kernel="fast")


def test_explain_says_which_kernel_and_why() -> None:
    additive = build("additive", query_size=8, memory_size=8)
    assert additive.explain(1, 20).startswith(
        "kernel 'reference': the hidden layer of the additive score has at most 4.19 million"
    )
    assert additive.explain(300, 2000, batch=4) == (
        "kernel 'blocked': the hidden layer of the additive score has 19.20 million numbers: it is "
        "computed a block at a time"
    )
    window = {"kind": "sliding_window", "left": 9, "right": 0}
    banded = build("dot", window, query_size=8, memory_size=8)
    assert banded.explain(999, 999).startswith("kernel 'banded': the window of 10 positions leaves")
    assert banded.explain(90, 90).startswith("kernel 'sdpa': ")
    assert banded.explain(998, 999).startswith("kernel 'windowed': windows of 10 positions leave")
    dot = build("dot", query_size=8, memory_size=8)
    for sizes in ((500, 500), (1, 20), (30, 30)):
        for need_gradient in (True, False):
            assert dot.explain(*sizes, need_gradient=need_gradient).startswith("kernel 'sdpa': ")
    half = dot.explain(30, 512, torch.bfloat16)
    assert half.startswith(
        "kernel 'dense': in 16 bits on the CPU the gradient of plain products is"
    )
    assert "up to 512 positions" in half
    assert dot.explain(30, 513, torch.bfloat16).startswith("kernel 'sdpa': ")
    assert dot.explain(30, 30, torch.bfloat16, need_gradient=False).startswith("kernel 'sdpa': ")
    assert dot.explain(30, 30, torch.bfloat16, device="cuda").startswith("kernel 'sdpa': ")
    named = build("dot", query_size=8, memory_size=8, kernel="reference")
    assert named.explain() == "kernel 'reference': named by the caller"


def test_tuning_takes_the_fastest_kernel_and_leaves_out_what_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    def slow(name: str, seconds: float) -> Callable[..., KernelOutput]:
        def kernel(*args: Any) -> KernelOutput:
            calls.append(name)
            time.sleep(seconds)
            return reference(*args)

        return kernel

    pauses = {"sdpa": 0.02, "reference": 0.01, "dense": 0.0, "banded": 0.0, "windowed": 0.0}
    for name, seconds in pauses.items():
        monkeypatch.setitem(dispatch.KERNELS, name, slow(name, seconds))
    module = build("scaled_dot", query_size=8, memory_size=8, num_heads=2)
    memory = torch.randn(2, 7, 8, requires_grad=True)
    times = module.tune(torch.randn(2, 5, 8), module.project(memory), seconds=0.0)
    assert list(times) == ["dense", "reference", "sdpa"]  # flex has no gradient on the CPU
    assert module.kernel == "dense" and sorted(set(calls)) == ["dense", "reference", "sdpa"]
    assert 0.0 < times["dense"] < times["sdpa"]
    with pytest.raises(ValueError, match=r"query: got shape \[2, 5, 3\]"):
        module.tune(torch.randn(2, 5, 3), module.project(memory))
    assert module.kernel == "dense"


def test_windows_written_out_see_the_same() -> None:
    centre = torch.tensor([[[1.0, 4.0]]])
    mask, prior = torch.rand(1, 1, 2, 6) < 0.7, torch.rand(1, 1, 2, 6)
    visible = AttentionMask(mask, windows=Windows(centre, 2, 1, 1.5), prior=prior)
    plain, alignment, cpu = visible.spelled_out(6, CPU), torch.rand(1, 1, 2, 6), CPU
    assert plain.windows is None
    assert torch.equal(plain.whole(2, 6, cpu), visible.whole(2, 6, cpu))  # type: ignore[arg-type]
    torch.testing.assert_close(plain.weigh(alignment), visible.weigh(alignment))


def test_a_mask_is_turned_to_a_bias_once() -> None:
    visible = AttentionMask(torch.tensor([[[[True, False, True]]]]))
    hidden = visible.hidden(1, 3, CPU, torch.float32)
    assert hidden.bias is not None and hidden.bias.flatten().tolist() == [0.0, -torch.inf, 0.0]
    assert hidden.empty is None  # nobody sees nothing
    assert visible.hidden(1, 3, CPU, torch.float32) is hidden
    for moving in (AttentionMask(triangle=True), AttentionMask(band=Band(1, 1))):
        first = moving.hidden(2, 3, CPU, torch.float32)
        assert moving.hidden(3, 3, CPU, torch.float32).bias.shape[2] == 3  # type: ignore[union-attr]
        assert first.bias is not None and first.bias.shape[2] == 2


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("source", [0, 5, 11, 14])
def test_a_triangle_with_a_mask_of_keys_needs_no_mask_of_all_pairs(
    source: int, dtype: torch.dtype, gradients: Gradients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kochi.attention.kernels.sdpa.LONG", 4)
    query, memory = (torch.randn(3, n, 8, dtype=dtype) for n in (11, source))
    mask, results = torch.rand(3, source) < 0.7, []
    mask[0], mask[1, :3] = False, False
    for module in twins("scaled_dot", "causal", 2, "sdpa", dtype):
        output = module(query, module.project(memory, mask), need_alignment=True)
        learned = gradients(output.context, list(module.parameters()))
        results.append([output.context, output.alignment, *learned])
    expected, found = ([one for one in result if one.numel()] for result in results)
    close(found, expected, dtype)


def test_no_mask_of_all_pairs_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("a mask of all pairs was made")

    module = build("scaled_dot", "causal", query_size=8, memory_size=8, num_heads=2)
    x, mask = torch.randn(1, 600, 8), torch.arange(600)[None] < 500
    monkeypatch.setattr(AttentionMask, "whole", never)
    module(x, module.project(x, mask))
    with pytest.raises(AssertionError):
        module(x[:, :500], module.project(x, mask))


def test_a_changed_mask_does_not_keep_the_bias_of_the_old_one() -> None:
    centre, mask = torch.tensor([[[1.0]]]), torch.tensor([[[[True, False, True]]]])
    visible = AttentionMask(mask)
    visible.hidden(1, 3, CPU, torch.float32)
    biased = add_bias(visible, torch.tensor([[[[-torch.inf, 0.0, 0.0]]]]))
    windowed = replace(visible, windows=Windows(centre, 0, 0)).spelled_out(3, CPU)
    for changed, shown in ((biased, [False, False, True]), (windowed, [False] * 3)):
        bias = changed.hidden(1, 3, CPU, torch.float32).bias
        assert bias is not None and (bias.flatten() == 0.0).tolist() == shown
