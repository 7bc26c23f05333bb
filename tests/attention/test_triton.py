"""The Triton kernel against the reference, in value and in every gradient.

Without a GPU its programs run in Triton's interpreter, which is slow: sizes are small.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kochi.attention import Attention, AttentionMask, MultiHeadAttention, build
from kochi.attention.kernels import dispatch, triton_additive
from kochi.attention.scores.additive import Additive

ON_GPU = torch.cuda.is_available()
TOLERANCE = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
"""Largest difference, relative to the largest number: the narrow types have 11 and 8 bits, and the
reference rounds the hidden layer, the scores and the alignment to them, which Triton does not."""

Module = Attention | MultiHeadAttention
Gradients = Callable[..., list[Tensor]]
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="needs the package triton",
)


def twins(scope: Any, **options: Any) -> list[Module]:
    """Return the reference and the kernel under test with the same weights."""
    options = {"query_size": 6, "memory_size": 10, **options}
    score = {"kind": "additive", "hidden_size": 19, "normalize": options.pop("normalize", False)}
    modules = [build(score, scope, kernel=name, **options) for name in ("reference", "triton")]
    modules[1].load_state_dict(modules[0].state_dict())
    return modules


def compare(
    modules: list[Module],
    query: Tensor,
    memory: Tensor,
    masks: tuple[Tensor | None, Tensor | None],
    gradients: Gradients,
    tolerance: float | None = None,
) -> None:
    """Compare contexts and all gradients; ``masks`` are those of the memory and of the call."""
    results: list[list[Tensor]] = []
    for module in modules:
        inputs = [query.clone().requires_grad_(), memory.clone().requires_grad_()]
        context = module(inputs[0], module.project(inputs[1], masks[0]), mask=masks[1]).context
        results.append([context, *gradients(context, [*inputs, *module.parameters()])])
        with torch.no_grad():
            silent = module(query, module.project(memory, masks[0]), mask=masks[1]).context
        assert torch.equal(silent, context)
    for found, expected in ((results[1][:1], results[0][:1]), (results[1][1:], results[0][1:])):
        largest = max(tensor.abs().max().item() for tensor in expected)
        for one, other in zip(found, expected, strict=True):
            assert one.isfinite().all()
            assert one.dtype == other.dtype
            limit = (tolerance or TOLERANCE[query.dtype]) * largest
            torch.testing.assert_close(one, other, rtol=0, atol=limit)


def example(batch: int, target: int, source: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, target, 6).to(dtype), torch.randn(batch, source, 10).to(dtype)


@needs_triton
@pytest.mark.parametrize(
    ("target", "source", "heads", "dtype"),
    [
        (33, 37, 1, torch.float32),
        (1, 41, 2, torch.float32),
        (17, 1, 2, torch.float32),
        (19, 37, 2, torch.bfloat16),
        pytest.param(19, 37, 2, torch.float16, marks=pytest.mark.slow),
    ],
)
def test_it_equals_the_reference(
    target: int, source: int, heads: int, dtype: torch.dtype, gradients: Gradients
) -> None:
    modules = [module.to(dtype) for module in twins("global", num_heads=heads)]
    compare(modules, *example(2, target, source, dtype), (None, None), gradients)


SCOPES: list[Any] = [
    "global",
    "causal",
    {"kind": "sliding_window", "left": 3, "right": 0},
    {"kind": "sliding_window", "left": 0, "right": 5},
    {"kind": "sliding_window", "left": 100, "right": 2},
]
MASKS = ("none", "memory", "call", "both")


@needs_triton
@pytest.mark.parametrize(
    ("scope", "mask_kind"),
    [
        pytest.param(scope, kind, marks=() if (i - j) % 4 == 0 else pytest.mark.slow)
        for i, scope in enumerate(SCOPES)
        for j, kind in enumerate(MASKS)
    ],
)
def test_scopes_and_masks_with_empty_rows(
    scope: Any, mask_kind: str, gradients: Gradients, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sentence 0 ends at position 12, after which its memory is NaN; its query 20 sees nothing."""
    monkeypatch.setattr(triton_additive, "HIDDEN", 32)  # faster to interpret
    query, memory = example(2, 37, 37, torch.float32)
    own, call = torch.rand(2, 37) < 0.8, torch.rand(2, 37, 37) < 0.7
    own[0, 12:], call[0, 20] = False, False
    masks = own if mask_kind in ("memory", "both") else None, None
    if mask_kind in ("call", "both"):
        masks = masks[0], call
    if masks[0] is not None:
        memory = memory.masked_fill(~own.unsqueeze(-1), torch.nan)
    compare(twins(scope), query, memory, masks, gradients)


@needs_triton
@pytest.mark.filterwarnings("ignore:mask")
def test_nothing_to_see_is_zero() -> None:
    module = twins("causal")[1]
    query, memory = example(2, 5, 7, torch.float32)
    query.requires_grad_()
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[0] = mask[1, 0] = False
    for positions in (7, 0):
        projected = module.project(memory[:, :positions], mask[:, :positions])
        output = module(query, projected, need_alignment=True)
        empty = torch.ones(2, 5, dtype=torch.bool)
        if positions:
            empty[1, 1:] = False
        assert output.alignment is not None
        assert torch.equal((output.alignment == 0.0).all(-1), empty)
        assert torch.equal((output.context == 0.0).all(-1), empty)
        (gradient,) = torch.autograd.grad(output.context.sum(), query)
        assert torch.equal((gradient == 0.0).all(-1), empty)


@needs_triton
def test_the_normalised_score(gradients: Gradients) -> None:
    modules = twins("global", num_heads=2, normalize=True)
    for module in modules:
        assert isinstance(module.score, Additive)
        for parameter in (module.score.scale, module.score.bias):
            parameter.data = torch.arange(parameter.numel(), dtype=torch.float32).view_as(parameter)
    compare(modules, *example(2, 7, 11, torch.float32), (None, None), gradients)


@needs_triton
def test_values_wider_than_a_program_sums(
    gradients: Gradients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triton_additive, "MOST_VALUES", 16)
    monkeypatch.setattr(triton_additive, "SOME_VALUES", 16)
    modules = twins("global", memory_size=45)
    memory = torch.randn(2, 9, 45)
    compare(modules, torch.randn(2, 18, 6), memory, (None, None), gradients)


@needs_triton
def test_large_scores_do_not_overflow(gradients: Gradients) -> None:
    modules = twins("global")
    for module in modules:
        assert isinstance(module.score, Additive)
        module.score.vector.data.mul_(1e3)
    query, memory = example(2, 5, 40, torch.float32)
    # 32 bits leave of scores above 1,000 three digits behind the point.
    compare(modules, 100 * query, memory, (None, None), gradients, tolerance=1e-3)


@needs_triton
def test_heads_that_share_one_vector(gradients: Gradients) -> None:
    """Three rows of heads with matrices and a vector in common, as the kernel may be asked."""
    modules = twins("global", num_heads=1)
    tensors = [torch.randn(2, 3, length, 19) for length in (5, 7, 7)]
    vector = torch.randn(1, 19)
    results = []
    for module, name in zip(modules, ("reference", "triton"), strict=True):
        assert isinstance(module.score, Additive)
        module.score.vector.data = vector.clone()
        inputs = [tensor.clone().requires_grad_() for tensor in tensors]
        query, keys, values = inputs
        answer = dispatch.KERNELS[name](
            module.parts, query, keys, values, AttentionMask(), None, 0.0, need_alignment=False
        )
        context = answer.context
        results.append([context, *gradients(context, [*inputs, module.score.vector])])
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-4)


@needs_triton
def test_under_autocast_it_answers_in_the_narrow_type() -> None:
    query, memory = example(2, 5, 7, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        expected, found = (m(query, m.project(memory)).context for m in twins("global"))
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-2 * expected.abs().max().item())


@needs_triton
def test_asking_for_the_alignment_never_changes_the_context() -> None:
    reference, module = twins("causal", num_heads=2)
    query, memory = example(2, 5, 7, torch.float32)
    shown = module(query, module.project(memory), need_alignment=True)
    assert torch.equal(module(query, module.project(memory)).context, shown.context)
    expected = reference(query, reference.project(memory), need_alignment=True).alignment
    torch.testing.assert_close(shown.alignment, expected)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        (("dot",), "the score Dot is not the additive one"),
        (("additive", "local_p"), "the scope LocalP does more than hide positions"),
        (("additive", "global", "sparsemax"), "the selection Sparsemax is not the plain softmax"),
    ],
)
def test_parts_that_it_cannot_serve(parts: tuple[str, ...], why: str) -> None:
    with pytest.raises(ValueError, match=f"kernel: 'triton' cannot serve: {why}"):
        build(*parts, query_size=8, memory_size=8, kernel="triton")


def test_a_term_on_the_scores_is_refused() -> None:
    with pytest.raises(ValueError, match="'triton' cannot serve: the relative term Alibi is added"):
        build("additive", relative="alibi", query_size=8, memory_size=8, kernel="triton")


@pytest.mark.parametrize("ratio", [1.0, 0.5])
def test_windows_that_walk(ratio: float) -> None:
    scope = {"kind": "local_m", "width": 2, "ratio": ratio}
    reference, module = twins(scope, num_heads=1)
    query, memory = example(2, 9, 17, torch.float32)
    expected = reference(query, reference.project(memory)).context
    torch.testing.assert_close(module(query, module.project(memory)).context, expected)


def test_without_the_package_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_additive, "triton_is_installed", lambda: False)
    with pytest.raises(ValueError, match="'triton' cannot serve: the package triton is not inst"):
        build("additive", query_size=8, memory_size=8, kernel="triton")


@needs_triton
def test_calls_that_it_cannot_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    module = twins("global", dropout=0.5)[1]
    query, memory = example(2, 5, 7, torch.float32)
    with pytest.raises(ValueError, match="'triton' cannot serve this call: it has no dropout"):
        module(query, module.project(memory))
    module.eval().double()
    with pytest.raises(ValueError, match=r"at most 32 bits, got torch\.float64"):
        module(query.double(), module.project(memory.double()))
    assert torch.are_deterministic_algorithms_enabled()
    with pytest.raises(ValueError, match="no fixed order, but deterministic algorithms are"):
        module.explain(device="cuda")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(ValueError, match="needs CUDA or TRITON_INTERPRET=1, got the device c"):
        module.float()(query, module.project(memory))


def test_it_is_used_only_where_it_is_named() -> None:
    module = build("additive", query_size=256, memory_size=256)
    found = module.explain(128, 512, device="cuda", batch=8, need_gradient=False)
    assert found.startswith("kernel 'blocked'")


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from kochi.attention.kernels.triton_additive import HIDDEN, PLACES, QUERIES
from kochi.attention.kernels import triton_programs

narrow = {"query": "*bf16", "keys": "*bf16", "values": "*bf16", "context": "*bf16", "grad": "*bf16"}
wide = ("vector", "total", "inner", "query_grad", "keys_grad", "vector_grad", "values_grad")
fixed = {"SIZE": 100, "VALUE_SIZE": 200, "MASKED": True, "QUERIES": QUERIES, "PLACES": PLACES}
for name, width in (("read", 256), ("read_backward", 64)):
    program = getattr(triton_programs, name)
    types = {one: "i32" for one in program.arg_names} | {"mask": "*u8"}
    types |= {one: "*fp32" for one in wide if one in types}
    types |= {one: pointer for one, pointer in narrow.items() if one in types}
    constants = fixed | {"HIDDEN": HIDDEN, "VALUES": width}
    types |= {one: "constexpr" for one in constants}
    source = ASTSource(program, types, constants)
    built = triton.compile(source, GPUTarget("cuda", 80, 32), {"num_warps": 8, "num_stages": 1})
    print(name, len(built.asm["cubin"]) > 0, built.metadata.shared < 99 * 1024)
"""


@needs_triton
@pytest.mark.slow
def test_the_programs_compile_for_a_gpu(tmp_path: Path) -> None:
    """Compiling needs no GPU, but a process in which Triton does not interpret."""
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": "0"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["read True True", "read_backward True True"]


@pytest.fixture
def any_order() -> Iterator[None]:
    """Allow what adds in no fixed order."""
    torch.use_deterministic_algorithms(False)
    yield
    torch.use_deterministic_algorithms(True)


@pytest.mark.skipif(not ON_GPU, reason="needs a GPU")
@pytest.mark.usefixtures("any_order")
@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("scope", ["global", "causal"])
def test_on_a_gpu(scope: str, dtype: torch.dtype, gradients: Gradients) -> None:
    options = {"query_size": 6, "memory_size": 96, "num_heads": 3}
    modules = [module.to("cuda", dtype) for module in twins(scope, **options)]
    query, memory = torch.randn(3, 257, 6), torch.randn(3, 257, 96)
    own, call = torch.rand(3, 257) < 0.8, torch.rand(3, 257, 257) < 0.7
    own[0, 12:] = False
    inputs = query.to("cuda", dtype), memory.to("cuda", dtype)
    compare(modules, *inputs, (own.cuda(), call.cuda()), gradients)
