"""FlexAttention against the reference, in value and in every gradient.

torch computes no gradient with it on the CPU, but its mathematics is the same there as on a GPU, in
plain operations: for its sake the tests lift that limit, and leave the compiler out.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.attention.flex_attention as torch_flex
from torch import Tensor

from kochi.attention import AlignmentOf, Attention, AttentionMask, Band, MultiHeadAttention, build
from kochi.attention.kernels import dispatch, flex

pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")

TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 3e-2}
SCOPES: list[Any] = ["global", "causal"]
SCOPES += [{"kind": "local_m", "width": 2, "ratio": ratio} for ratio in (1.0, 0.5)]
SCOPES += [{"kind": "sliding_window", "left": a, "right": b} for a, b in ((3, 0), (0, 4), (500, 9))]

Module = Attention | MultiHeadAttention
Gradients = Callable[..., list[Tensor]]


@pytest.fixture
def in_the_open(monkeypatch: pytest.MonkeyPatch, shapes_unchecked: None) -> Iterator[None]:
    """Let FlexAttention run without its compiler, with gradients on the CPU."""
    monkeypatch.setattr(flex, "compiled", lambda: torch_flex.flex_attention)
    monkeypatch.setattr(torch_flex, "_validate_device", lambda *tensors: None)
    monkeypatch.setattr(torch_flex, "_WARNINGS_SHOWN", {"flex_attention_performance"})
    monkeypatch.setitem(dispatch.NOT_NOW, "flex", lambda case: None)
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def twins(scope: Any, relative: str | None = None, **options: Any) -> list[Module]:
    """Return the reference and FlexAttention with the same weights."""
    sizes = {"query_size": 8, "memory_size": 8, "num_heads": 2, **options}
    modules = [
        build("scaled_dot", scope, relative=relative, kernel=name, **sizes)
        for name in ("reference", "flex")
    ]
    modules[1].load_state_dict(modules[0].state_dict())
    return modules


def close(found: list[Tensor], expected: list[Tensor], dtype: torch.dtype) -> None:
    """Compare, relative to the largest number of all: some gradients are sums that cancel."""
    largest = max(tensor.abs().max().item() for tensor in expected)
    for one, other in zip(found, expected, strict=True):
        assert one.isfinite().all()
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0, atol=TOLERANCE[dtype] * largest)


def compare(
    modules: list[Module],
    query: Tensor,
    memory: Tensor,
    masks: tuple[Tensor | None, Tensor | None],
    gradients: Gradients,
) -> None:
    """Compare contexts and all gradients; ``masks`` are those of the memory and of the call."""
    results: list[list[Tensor]] = []
    for module in modules:
        inputs = [query.clone().requires_grad_(), memory.clone().requires_grad_()]
        context = module(inputs[0], module.project(inputs[1], masks[0]), mask=masks[1]).context
        results.append([context, *gradients(context, [*inputs, *module.parameters()])])
    close(results[1], results[0], query.dtype)


def masks(kind: str, length: int) -> tuple[Tensor | None, Tensor | None]:
    """Return the masks of memory and call: sentence 0 sees little, and its query 20 nothing."""
    own, call = torch.rand(2, length) < 0.8, torch.rand(2, length, length) < 0.7
    own[0, 12:], call[0, 20] = False, False
    return own if kind in ("memory", "both") else None, call if kind in ("call", "both") else None


@pytest.mark.usefixtures("in_the_open")
@pytest.mark.parametrize(
    ("scope", "mask_kind", "dtype"),
    [
        *((scope, kind, torch.float32) for scope in SCOPES for kind in ("none", "both")),
        *(("causal", "memory", dtype) for dtype in TOLERANCE),
    ],
)
def test_it_equals_the_reference(
    scope: Any, mask_kind: str, dtype: torch.dtype, gradients: Gradients
) -> None:
    query, memory = torch.randn(2, 63, 8).to(dtype), torch.randn(2, 63, 8).to(dtype)
    own, call = masks(mask_kind, 63)
    if own is not None:
        memory = memory.masked_fill(~own.unsqueeze(-1), torch.nan)
    modules = [module.to(dtype) for module in twins(scope)]
    compare(modules, query, memory, (own, call), gradients)


@pytest.mark.usefixtures("in_the_open")
@pytest.mark.parametrize("relative", ["shaw", "t5", "alibi"])
@pytest.mark.parametrize("scope", ["global", "causal", SCOPES[-1]])
def test_terms_on_the_scores(scope: Any, relative: str, gradients: Gradients) -> None:
    modules = twins(scope, relative)
    for module in modules:
        for number, parameter in enumerate(module.relative.parameters() if module.relative else ()):
            parameter.data = torch.arange(parameter.numel()).view_as(parameter).sin() + number
    query, memory = torch.randn(2, 37, 8), torch.randn(2, 37, 8)
    compare(modules, query, memory, masks("both", 37), gradients)


@pytest.mark.usefixtures("in_the_open")
@pytest.mark.parametrize(("target", "source"), [(63, 37), (1, 41), (17, 1)])
@pytest.mark.parametrize("size", [8, 40])
def test_odd_lengths_and_sizes(target: int, source: int, size: int, gradients: Gradients) -> None:
    modules = twins("global", query_size=size)
    query, memory = torch.randn(2, target, size), torch.randn(2, source, 8)
    compare(modules, query, memory, (None, None), gradients)


@pytest.mark.usefixtures("in_the_open")
@pytest.mark.parametrize("scope", SCOPES)
def test_the_alignment_of_some_queries_and_heads(scope: Any) -> None:
    module = twins(scope)[1]
    query, projected = torch.randn(2, 9, 8), module.project(torch.randn(2, 9, 8))
    whole = module(query, projected, need_alignment=True)
    some = module(query, projected, need_alignment=AlignmentOf(queries=[7, 2], heads=[1]))
    assert torch.equal(some.context, whole.context)
    assert whole.alignment is not None
    torch.testing.assert_close(some.alignment, whole.alignment[:, [1]][:, :, [7, 2]])


@pytest.mark.usefixtures("in_the_open")
@pytest.mark.filterwarnings("ignore:mask")
def test_nothing_to_see_is_zero() -> None:
    module = twins("causal", num_heads=1)[1]
    query, memory = torch.randn(2, 5, 8, requires_grad=True), torch.randn(2, 7, 8)
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
        # One visible key has weight 1 whatever the query is.
        assert (gradient[empty] == 0.0).all() and gradient.isfinite().all()


@pytest.mark.usefixtures("in_the_open")
def test_asking_for_the_alignment_never_changes_the_context() -> None:
    reference, module = twins("causal", "alibi")
    query, memory = torch.randn(2, 5, 8), torch.randn(2, 7, 8)
    shown = module(query, module.project(memory), need_alignment=True)
    assert torch.equal(module(query, module.project(memory)).context, shown.context)
    expected = reference(query, reference.project(memory), need_alignment=True).alignment
    torch.testing.assert_close(shown.alignment, expected)


def ones(*shape: int) -> Tensor:
    return torch.ones(shape, dtype=torch.bool)


SHOWN = {
    "all": AttentionMask(),
    "triangle": AttentionMask(triangle=True),
    "window": AttentionMask(band=Band(130, 2)),
    "far window": AttentionMask(band=Band(0, 300)),
    "keys": AttentionMask((torch.arange(700) < torch.tensor([[129], [0]]))[:, None, None]),
    "full": AttentionMask(ones(1, 2, 300, 700).triu(300)),
    "triangle of keys": AttentionMask((torch.arange(700) < 384)[None, None, None], triangle=True),
}


@pytest.mark.parametrize("kind", list(SHOWN))
def test_the_blocks_are_those_that_torch_finds(kind: str) -> None:
    """Judge: ``create_block_mask``, which looks at every query and key."""
    visible, target, source = SHOWN[kind], 300, 700
    query, keys = torch.empty(2, 2, target, 1), torch.empty(2, 2, source, 1)
    see = flex._see(visible, query, keys)
    found = flex.block_mask(visible, target, source, query.device, see)
    batch, heads = (1, 1) if visible.mask is None else visible.mask.shape[:2]
    judge = torch_flex.create_block_mask(see, batch, heads, target, source, "cpu")
    assert found.shape == judge.shape
    assert torch.equal(found.to_dense(), judge.to_dense())
    for ours, theirs in zip(numbers(found), numbers(judge), strict=True):
        assert torch.equal(ours, theirs)


def numbers(blocks: torch_flex.BlockMask) -> list[Tensor]:
    """Return how many blocks of a row are seen in part, and how many whole."""
    assert blocks.full_kv_num_blocks is not None
    return [blocks.kv_num_blocks, blocks.full_kv_num_blocks]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with g++")
@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_on_the_cpu() -> None:
    """The compiled kernel skips blocks; without a gradient it serves the CPU too."""
    reference, module = twins({"kind": "sliding_window", "left": 140, "right": 3}, "alibi")
    query, memory = torch.randn(2, 400, 8), torch.randn(2, 400, 8)
    mask = torch.rand(2, 400) < 0.7
    mask[0, 150:] = False
    with torch.no_grad():
        contexts = [one(query, one.project(memory, mask)).context for one in (reference, module)]
    close(contexts[1:], contexts[:1], torch.float32)


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match="kernel: 'flex' cannot serve: the score Additive is not"):
        build("additive", query_size=8, memory_size=8, kernel="flex")
    with pytest.raises(ValueError, match="'flex' cannot serve: the scope LocalP does more than hi"):
        build("dot", "local_p", query_size=8, memory_size=8, kernel="flex")
    module = twins("global", dropout=0.5)[1]
    query, memory = torch.randn(2, 5, 8), torch.randn(2, 7, 8)
    with pytest.raises(ValueError, match="this call: FlexAttention has no dropout"):
        module(query, module.project(memory))
    with pytest.raises(ValueError, match="this call: FlexAttention computes no gradient on the C"):
        module.eval()(query, module.project(memory))
    with pytest.raises(ValueError, match=r"at most 32 bits there, got torch\.float64"):
        module.explain(dtype=torch.float64, device="cuda")


def test_only_the_values_may_need_a_gradient() -> None:
    module = build("dot", query_size=8, memory_size=8, kernel="flex")
    projected = module.project(torch.randn(2, 7, 8))
    projected = replace(projected, values=projected.values.clone().requires_grad_())
    with pytest.raises(ValueError, match="FlexAttention computes no gradient on the CPU"):
        module(torch.randn(2, 5, 8), projected)


def test_it_is_used_only_where_it_is_named() -> None:
    sizes: dict[str, Any] = {"query_size": 8, "memory_size": 8}
    window = build("dot", {"kind": "sliding_window", "left": 9, "right": 0}, **sizes)
    assert window.explain(4096, 4096, device="cuda").startswith("kernel 'banded'")
    alibi = build("dot", "causal", relative="alibi", **sizes, num_heads=2).eval()
    assert alibi.explain(4096, 4096, device="cuda").startswith("kernel 'sdpa'")
    alibi.kernel = "flex"
    assert alibi.explain(4096, 4096, device="cuda") == "kernel 'flex': named by the caller"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scope", SCOPES[1:4])
@pytest.mark.parametrize("relative", [None, "alibi", "t5"])
def test_on_a_gpu(
    relative: str | None, scope: Any, dtype: torch.dtype, gradients: Gradients
) -> None:
    options = {"query_size": 96, "memory_size": 96, "num_heads": 3}
    modules = [module.to("cuda", dtype) for module in twins(scope, relative, **options)]
    query, memory = torch.randn(2, 400, 96), torch.randn(2, 400, 96)
    own, call = masks("both", 400)
    assert own is not None and call is not None
    inputs = query.to("cuda", dtype), memory.to("cuda", dtype)
    compare(modules, *inputs, (own.cuda(), call.cuda()), gradients)
