"""The windowed kernel against the reference, in value and in every gradient."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from kochi.attention import Attention, AttentionMask, MultiHeadAttention, Positions, build
from kochi.attention.kernels import windowed as kernel_file
from kochi.attention.scopes import LocalM, LocalP, SlidingWindow
from tests.covering import pairwise_product

Gradients = Callable[..., list[Tensor]]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 3e-2}
CPU = torch.device("cpu")
SCOPES: list[dict[str, Any]] = [
    {"kind": "local_m", "width": 3, "ratio": 1.7},
    {"kind": "local_m", "width": 0, "ratio": 0.4},
    {"kind": "local_p", "width": 1},
    {"kind": "local_p", "width": 29},
    {"kind": "sliding_window", "left": 2, "right": 11},
]
SELECTIONS = ["soft", "smoothed", "sparsemax", "entmax15", "entmax", {"kind": "top_k", "k": 2}]


def twins(score: Any, scope: Any, selection: Any = "soft", **options: Any) -> list[Any]:
    """Return the reference and the windowed kernel with the same weights."""
    modules = [
        build(score, scope, selection, query_size=8, memory_size=8, kernel=kernel, **options)
        for kernel in ("reference", "windowed")
    ]
    for name, parameter in modules[0].named_parameters():
        if name.startswith("scope."):  # windows all over the memory, not only in its middle
            torch.nn.init.normal_(parameter)
    modules[1].load_state_dict(modules[0].state_dict())
    return modules


def close(found: list[Tensor], expected: list[Tensor], dtype: torch.dtype) -> None:
    """Compare, relative to the largest number of all: some gradients are sums that cancel."""
    largest = max(tensor.abs().max().item() for tensor in expected)
    for one, other in zip(found, expected, strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(one, other, rtol=0, atol=TOLERANCE[dtype] * largest)


def compare(
    modules: list[Any], target: int, source: int, masked: bool, dtype: torch.dtype, take: Gradients
) -> None:
    query, values = torch.randn(2, target, 8).to(dtype), torch.randn(2, source, 8).to(dtype)
    mask = None
    if masked:  # sentence 0 has queries whose whole window is hidden, and NaN there
        mask = torch.rand(2, source) < 0.7
        mask[0, source // 3 :] = False
        values = values.masked_fill(~mask.unsqueeze(-1), torch.nan)
    results: list[list[Tensor]] = []
    for module in modules:
        module.to(dtype)
        inputs = [query.clone().requires_grad_(), values.clone().requires_grad_()]
        output = module(inputs[0], module.project(inputs[1], mask), need_alignment=True)
        silent = module(inputs[0], module.project(inputs[1], mask)).context
        assert torch.equal(silent, output.context)
        answered = torch.cat((output.context.flatten(), output.alignment.flatten()))
        found = take(answered, [*inputs, *module.parameters()])
        results.append([output.context, output.alignment, *found])
    for start, stop in ((0, 1), (1, 2), (2, None)):
        close(results[1][start:stop], results[0][start:stop], dtype)


@pairwise_product(
    scope=SCOPES, score=("dot", "general", "additive"), masked=(False, True), dtype=TOLERANCE
)
def test_windowed_equals_the_reference(
    scope: Any, score: str, masked: bool, dtype: torch.dtype, gradients: Gradients
) -> None:
    for target, source in ((63, 101), (101, 63), (1, 97)):
        modules = twins(score, scope, num_heads=1 if score == "dot" else 2)
        compare(modules, target, source, masked, dtype, gradients)


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("scope", SCOPES[2:4])
def test_every_selection_that_it_serves(scope: Any, selection: Any, gradients: Gradients) -> None:
    modules = twins("scaled_dot", scope, selection, num_heads=2)
    compare(modules, 29, 53, True, torch.float64, gradients)


def test_the_normalised_additive_score(gradients: Gradients) -> None:
    modules = twins({"kind": "additive", "normalize": True}, SCOPES[0])
    compare(modules, 29, 53, True, torch.float64, gradients)


@pytest.mark.parametrize("most", [1, 3, 64])
@pytest.mark.parametrize("tile", [2, 7, 1000])
@pytest.mark.parametrize("scope", [SCOPES[0], SCOPES[3], SCOPES[4]])
def test_however_it_is_cut(
    scope: Any, tile: int, most: int, gradients: Gradients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_file, "TILE", tile)
    monkeypatch.setattr(kernel_file, "MOST", most)
    modules = twins("scaled_dot", scope, num_heads=2)
    compare(modules, 67, 41, True, torch.float64, gradients)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("score", ["dot", "additive"])
def test_step_by_step_equals_all_at_once(scope: Any, score: str) -> None:
    reference, module = (module.double() for module in twins(score, scope))
    query, values = torch.randn(2, 7, 8).double(), torch.randn(2, 61, 8).double()
    mask = torch.tensor([61, 40]).unsqueeze(1) > torch.arange(61)
    projected, state, found = module.project(values, mask), None, []
    for index in range(7):
        output = module(query[:, index : index + 1], projected, state=state)
        found.append(output.context)
        state = output.state
    expected = reference(query, reference.project(values, mask)).context
    torch.testing.assert_close(torch.cat(found, 1), expected)


@pytest.mark.parametrize("scope", SCOPES)
def test_positions_of_each_sentence(scope: Any) -> None:
    reference, module = (module.double() for module in twins("dot", scope))
    query, values = torch.randn(2, 5, 8).double(), torch.randn(2, 31, 8).double()
    queries = torch.tensor([[3, 1, 40, 0, 7], [30, 2, 2, 9, -4]])
    found, expected = (
        one(query, one.project(values), query_positions=queries).context
        for one in (module, reference)
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "scope", [LocalM(width=2, ratio=1.3), LocalP(8, 2, width=3), SlidingWindow(left=1, right=4)]
)
def test_the_windows_are_what_the_scope_says(scope: LocalM | LocalP | SlidingWindow) -> None:
    positions = Positions(5, 9, CPU, start=2)
    if isinstance(scope, LocalP):
        given = torch.randn(3, 2, 5, 8), positions, torch.tensor([9, 4, 2])
        windows, window = scope.windows(*given), scope(*given)
        assert windows is not None
        assert torch.equal(windows.mask(torch.arange(9)), window.visible)
        assert torch.equal(windows.prior(torch.arange(9)), window.prior)
        key = Positions(5, 9, CPU, key=1)
        assert scope.windows(given[0], key, given[2]) is None
    else:
        windows, seen = scope.windows(positions), scope(positions)
        assert windows is not None
        assert seen is not None
        assert torch.equal(windows.mask(torch.arange(9))[0, 0], seen)
        with pytest.raises(ValueError, match="prior: these windows have no Gaussian"):
            windows.prior(torch.arange(9))
        assert scope.windows(Positions(5, 9, CPU, key=1)) is None
    assert scope.reach == (windows.left, windows.right)


@pytest.mark.parametrize(("target", "source"), [(0, 5), (3, 0), (0, 0)])
def test_nothing_to_ask_or_to_see(target: int, source: int) -> None:
    for scope in SCOPES[:4]:
        module = twins("dot", scope)[1]
        query = torch.randn(2, target, 8, requires_grad=True)
        found = module(query, module.project(torch.randn(2, source, 8)), need_alignment=True)
        assert torch.equal(found.context, torch.zeros(2, target, 8))
        assert found.alignment.shape == (2, target, source)
        found.context.sum().backward()
        assert query.grad is not None
        assert torch.equal(query.grad, torch.zeros(2, target, 8))


def test_the_gradient_of_dropout_is_that_of_what_was_kept() -> None:
    module = twins("dot", {"kind": "local_p", "width": 3}, dropout=0.4)[1].double()

    def context(query: Tensor, values: Tensor) -> Tensor:
        torch.manual_seed(3)
        return module(query, module.project(values)).context

    sizes = (2, 4, 8), (2, 9, 8)
    inputs = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]
    assert torch.autograd.gradcheck(context, inputs, fast_mode=True)
    silent = context(*inputs)
    torch.manual_seed(3)
    shown = module(inputs[0], module.project(inputs[1]), need_alignment=True)
    assert torch.equal(shown.context, silent)
    reference = twins("dot", {"kind": "local_p", "width": 3})[0].double()
    reference.load_state_dict(module.state_dict())
    expected = reference(inputs[0], reference.project(inputs[1]), need_alignment=True).alignment
    torch.testing.assert_close(shown.alignment, expected)


def test_dropout_keeps_the_mean() -> None:
    scope = {"kind": "local_m", "width": 1}
    module = twins("dot", scope, dropout=0.25)[1]
    context = module(torch.zeros(4000, 5, 8), module.project(torch.ones(4000, 7, 8))).context
    # Each of 3 positions has weight 1/3: variance 3 (1/3)^2 (1/3) = 1/9, of the mean its root / 63.
    assert context[:, 2, 0].min() < 1.0 < context[:, 2, 0].max()
    assert context[:, 2, 0].mean().item() == pytest.approx(1.0, abs=5 * 0.0053)


class Largest(TorchDispatchMode):
    """Count the numbers of the largest tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = func(*args, **(kwargs or {}))
        for result in results if isinstance(results, tuple | list) else [results]:
            if isinstance(result, Tensor):
                self.numbers = max(self.numbers, result.untyped_storage().nbytes() // 4)
        return results


def largest(module: Attention | MultiHeadAttention, length: int) -> int:
    """Return the numbers of the largest tensor in a forward and backward pass."""
    query = torch.randn(2, length, 8, requires_grad=True)
    values = torch.randn(2, 2 * length, 8, requires_grad=True)
    mask = torch.rand(2, 2 * length) < 0.9
    with Largest() as counted:
        context = module(query, module.project(values, mask)).context
        context.sum().backward()
    return counted.numbers


@pytest.mark.parametrize("score", ["scaled_dot", "additive"])
@pytest.mark.parametrize("scope", [SCOPES[0], SCOPES[2]])
def test_memory_grows_with_length_times_width(scope: Any, score: str) -> None:
    reference, module = twins(score, {**scope, "width": 10}, num_heads=2)
    short, long = largest(module, 256), largest(module, 1024)
    assert long < 4.5 * short
    assert 5 * long < 2 * 2 * 1024 * 2048 <= largest(reference, 1024)


def test_the_whole_mask_is_never_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(*_: object) -> Tensor:
        raise AssertionError("built the whole mask")

    monkeypatch.setattr(AttentionMask, "whole", whole)
    for scope in SCOPES:
        reference, module = twins("dot", scope)
        monkeypatch.setattr(type(module.scope), "forward", whole)
        query, values = torch.randn(2, 9, 8, requires_grad=True), torch.randn(2, 99, 8)
        module(query, module.project(values)).context.sum().backward()
        assert query.grad is not None
        assert query.grad.isfinite().all()
        with pytest.raises(AssertionError, match="built the whole mask"):
            reference(query, reference.project(values))


def test_a_call_that_it_cannot_serve_is_refused() -> None:
    module = twins("dot", {"kind": "sliding_window"})[1]
    query, projected = torch.randn(2, 3, 8), module.project(torch.randn(2, 9, 8))
    message = "kernel: 'windowed' cannot serve this call: "
    with pytest.raises(ValueError, match=message + "the keys do not stand at 0, 1, 2"):
        module(query, projected, key_positions=torch.arange(9) + 1)
    with pytest.raises(ValueError, match=message + "the mask is not the same for all queries"):
        module(query, projected, mask=torch.ones(2, 3, 9, dtype=torch.bool))


def test_a_band_is_served_as_windows() -> None:
    reference, module = twins("additive", {"kind": "sliding_window", "left": 2, "right": 1})
    query, memory = torch.randn(2, 9, 8), torch.randn(2, 9, 8)
    expected = reference(query, reference.project(memory)).context
    torch.testing.assert_close(module(query, module.project(memory)).context, expected)


def test_parts_that_it_cannot_serve_are_refused() -> None:
    message = "'windowed' cannot serve: the "
    sizes: dict[str, Any] = {"query_size": 8, "memory_size": 8, "kernel": "windowed"}
    with pytest.raises(ValueError, match=message + "scope Global does not open windows"):
        build("dot", **sizes)
    with pytest.raises(ValueError, match=message + "scope Coverage does not open windows"):
        build("dot", "coverage", **sizes)
    with pytest.raises(ValueError, match=message + "score LocationAware is neither a dot product"):
        build("location_aware", "local_m", **sizes)
    with pytest.raises(ValueError, match=message + "selection Hard is not known to do without"):
        build("dot", "local_m", "hard", **sizes)
    with pytest.raises(ValueError, match=message + "relative term Alibi is added to the scores"):
        build("dot", "local_m", relative="alibi", num_heads=2, **sizes)


def test_the_rule_takes_it_where_it_was_measured_to_pay() -> None:
    sizes: dict[str, Any] = {"query_size": 8, "memory_size": 8}
    for scope in ("local_m", "local_p"):
        for score in ("dot", "additive"):
            module = build(score, scope, **sizes)
            assert module.explain(300, 300) == (
                "kernel 'windowed': windows of 21 positions leave most of 300 keys out"
            )
            assert module.explain(1, 1000, batch=33).startswith("kernel 'windowed'")
            assert not module.explain(1, 1000, batch=32).startswith("kernel 'windowed'")
            assert not module.explain(400, 83).startswith("kernel 'windowed'")
            assert module.explain(400, 84).startswith("kernel 'windowed'")
        wide = build("dot", {"kind": scope, "width": 64}, **sizes)
        assert not wide.explain(500, 500).startswith("kernel 'windowed'")
        assert wide.explain(516, 516).startswith("kernel 'windowed'")
    query, memory = torch.randn(2, 300, 8), torch.randn(2, 300, 8)
    module = build("dot", "local_p", **sizes)  # a mask of all pairs is there already
    mask = torch.ones(2, 300, 300, dtype=torch.bool)
    whole = module(query, module.project(memory), mask=mask).context
    torch.testing.assert_close(whole, module(query, module.project(memory)).context)
