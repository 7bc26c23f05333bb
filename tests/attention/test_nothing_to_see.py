"""One rule for nothing to see, for every mechanism on every kernel that serves it.

A query that may see nothing gets alignment 0, context 0 and finite gradients; what is hidden, NaN
or not, changes nothing; in every dtype, with gradients and without. Compiled: test_compiled.py.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from kochi.attention import (
    RELATIVES,
    SCOPES,
    SCORES,
    SELECTIONS,
    Attention,
    AttentionOutput,
    MultiHeadAttention,
    build,
)
from kochi.attention.kernels.dispatch import KERNELS, refusal
from tests.covering import pairwise

BATCH, LENGTH, SIZE, HEADS = 3, 5, 8, 2
SEES = torch.tensor([[True] * 5, [False] * 5, [True, True, False, True, False]])
NARROW: dict[str, dict[str, Any]] = {
    "sliding_window": {"left": 1, "right": 2},
    "local_m": {"width": 1},
    "local_p": {"width": 2},
    "top_k": {"k": 2},
    "hard": {"expected_share": 0.5},
}
DRAWS_OR_JUMPS = ("hard", "straight_through", "monotonic", "chunkwise", "top_k")
Components = tuple[str, str, str, str | None]
Module = Attention | MultiHeadAttention
Gradients = Callable[..., list[Tensor]]

MECHANISMS: list[Components] = [
    *((score, scope, "soft", None) for score in SCORES for scope in SCOPES),
    *(
        (score, scope, selection, None)
        for score, scope in (
            ("dot", "global"),
            ("additive", "causal"),
            ("location_aware", "local_p"),
        )
        for selection in SELECTIONS
        if selection != "soft"
    ),
    *(
        (score, scope, "soft", relative)
        for score, scope in (("scaled_dot", "causal"), ("cosine", "sliding_window"))
        for relative in RELATIVES
    ),
]


def make(parts: Components, kernel: str, dtype: torch.dtype = torch.float64) -> Module:
    torch.manual_seed(3)
    score, scope, selection = ({"kind": part, **NARROW.get(part, {})} for part in parts[:3])
    module = build(
        score,
        scope,
        selection,
        relative=parts[3],
        query_size=SIZE,
        memory_size=SIZE,
        num_heads=HEADS,
        kernel=kernel,
    )
    with torch.no_grad():
        for parameter in module.scope.parameters():  # a coverage starts at 0
            parameter.uniform_(-1.0, 1.0)
    return module.to(dtype)


FOR_CUDA = ("flex", "triton")  # see test_flex.py and test_triton.py
CASES = [
    (parts, kernel)
    for parts in MECHANISMS
    for kernel in KERNELS
    if kernel not in FOR_CUDA and refusal(kernel, make(parts, "reference").parts) is None
]


def every_case(**more: Sequence[Any]) -> Any:
    """Parametrize with the cases and the values of one more argument, pairwise."""
    rows = [(*case, *values) for case in CASES for values in product(*more.values())]
    params = pairwise(rows, lambda row: (*row[0], *row[1:]))
    rows = [param.values for param in params]
    ids = ["-".join(str(one) for one in (*row[0], *row[1:]) if one is not None) for row in rows]
    return pytest.mark.parametrize(("parts", "kernel", *more), params, ids=ids)


def example(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    torch.manual_seed(5)
    query, memory = torch.randn(2, BATCH, LENGTH, SIZE, dtype=torch.float64).to(dtype)
    return query, memory


def ask(
    module: Module, query: Tensor, memory: Tensor, mask: Tensor | None = SEES
) -> AttentionOutput:
    """Ask with the same draws each time."""
    torch.manual_seed(7)
    return module(query, module.project(memory, mask), need_alignment=True)


def alignment_of(output: AttentionOutput) -> Tensor:
    assert output.alignment is not None
    return output.alignment


@every_case(training=(True, False))
def test_nothing_leaks_and_nothing_seen_is_zero(
    parts: Components, kernel: str, training: bool, gradients: Gradients
) -> None:
    module = make(parts, kernel).train(training)
    query, memory = example()
    results: list[list[Tensor]] = []
    for hidden in (0.0, torch.nan, torch.inf):
        inputs = [
            query.clone().requires_grad_(),
            memory.masked_fill(~SEES.unsqueeze(-1), hidden).requires_grad_(),
        ]
        output = ask(module, *inputs)
        assert (alignment_of(output)[1] == 0).all()
        assert (output.context[1] == 0).all()
        hides = ~SEES[:, None, None].expand_as(alignment_of(output))
        assert (alignment_of(output)[hides] == 0).all()
        everything = [*inputs, *module.parameters()]
        found = torch.autograd.grad(
            output.context.cos().sum() + alignment_of(output).sin().sum(),
            everything,
            materialize_grads=True,
        )
        assert all(gradient.isfinite().all() for gradient in found)
        assert (found[1][~SEES] == 0).all()
        results.append([output.context, alignment_of(output), *found])
    for result in results[1:]:
        for one, other in zip(result, results[0], strict=True):
            assert torch.equal(one, other)


@every_case()
def test_no_memory_at_all(parts: Components, kernel: str) -> None:
    module, (query, memory) = make(parts, kernel), example()
    length = 0 if kernel == "banded" else LENGTH  # which wants one sequence
    query, memory = query[:, :length].requires_grad_(), memory[:, :0].requires_grad_()
    for mask in (None, SEES[:, :0]):
        output = ask(module, query, memory, mask)
        assert alignment_of(output).shape == (BATCH, HEADS, length, 0)
        assert output.context.shape == (BATCH, length, SIZE)
        assert (output.context == 0).all()
        inputs = [query, memory, *module.parameters()]
        for gradient in torch.autograd.grad(output.context.sum(), inputs, allow_unused=True):
            assert gradient is None or (gradient.isfinite().all())


TOLERANCE = {
    dtype: times * torch.finfo(dtype).eps
    for dtype, times in ((torch.float16, 8.0), (torch.bfloat16, 8.0), (torch.float32, 32.0))
}
"""Largest difference from float64, relative to the largest number. Half precision is widened inside
the selection, so that float32 has as many roundings with nothing to hide them."""


@every_case(dtype=list(TOLERANCE))
def test_every_precision(parts: Components, kernel: str, dtype: torch.dtype) -> None:
    """Close to the reference in float64 with the same rounded numbers; finite where it jumps."""
    module = make(parts, kernel, dtype).eval()
    judge = make(parts, "reference")
    judge.load_state_dict(module.state_dict())
    judge.eval()
    query, memory = example(dtype)
    memory = memory.masked_fill(~SEES.unsqueeze(-1), torch.nan)
    inputs = [query.requires_grad_(), memory.requires_grad_()]
    wide = [tensor.detach().double().requires_grad_() for tensor in inputs]
    found, expected = ask(module, *inputs), ask(judge, *wide)
    assert found.context.dtype == alignment_of(found).dtype == dtype
    assert (alignment_of(found)[1] == 0).all() and (found.context[1] == 0).all()
    gradients = [
        torch.autograd.grad(one.context.sum(), some, materialize_grads=True)
        for one, some in ((found, inputs), (expected, wide))
        if one.context.requires_grad
    ]
    assert all(gradient.isfinite().all() for some in gradients for gradient in some)
    if parts[2] in DRAWS_OR_JUMPS or parts[1] == "local_p":  # a window's edge is a jump
        return
    pairs = [
        (found.context, expected.context),
        (alignment_of(found), alignment_of(expected)),
        *zip(*gradients, strict=True),
    ]
    for one, other in pairs:
        bound = TOLERANCE[dtype] * max(1.0, other.abs().max().item())
        torch.testing.assert_close(one.double(), other, rtol=0, atol=bound)


@every_case(training=(True, False))
def test_without_gradients_the_same(parts: Components, kernel: str, training: bool) -> None:
    module, (query, memory) = make(parts, kernel).train(training), example()
    memory = memory.masked_fill(~SEES.unsqueeze(-1), torch.nan)
    loud = ask(module, query.requires_grad_(), memory)
    with torch.no_grad():
        silent = ask(module, query, memory)
    with torch.inference_mode():
        still = ask(module, query, memory)
    for found in (silent, still):
        torch.testing.assert_close(found.context, loud.context, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(found.alignment, loud.alignment, rtol=1e-12, atol=1e-12)
