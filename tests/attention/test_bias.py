"""A bias, and a mask for each head, as arguments of a call."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from kochi.attention import (
    START,
    AlignmentOf,
    Attention,
    MultiHeadAttention,
    RecurrentScore,
    Score,
    build,
)
from kochi.attention.history import Past

BATCH, TARGET, SOURCE, SIZE = 2, 3, 5, 8
Gradients = Callable[..., list[Tensor]]
every_mechanism = pytest.mark.parametrize(
    "parts",
    [
        ("scaled_dot", "global", "soft", None),
        ("scaled_dot", "causal", "soft", "alibi"),
        ("scaled_dot", "sliding_window", "soft", None),
        ("scaled_dot", "local_p", "soft", "shaw"),
        ("additive", "global", "soft", None),
        ("additive", "local_m", "sparsemax", "t5"),
        ("location_aware", "coverage", "entmax15", None),
        ("cosine", "causal", "top_k", None),
        ("dot", "global", "monotonic", None),
        ("general", "local_p", "chunkwise", None),
    ],
    ids=lambda parts: "-".join(map(str, parts)),
)
both = pytest.mark.parametrize("heads", [1, 2])


def make(parts: Any, heads: int, kernel: str = "auto") -> Attention | MultiHeadAttention:
    torch.manual_seed(5)
    score, scope, selection, relative = parts
    sizes: Any = {"query_size": SIZE, "memory_size": SIZE, "num_heads": heads, "kernel": kernel}
    return build(score, scope, selection, relative=relative, **sizes).double()


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def by_head(alignment: Tensor | None) -> Tensor:
    assert alignment is not None
    return alignment if alignment.dim() == 4 else alignment.unsqueeze(1)


class Plus(Score):
    """A score plus a constant for each key."""

    def __init__(self, score: Score, bias: Tensor) -> None:
        super().__init__()
        self.score, self.bias = score, bias

    def project_query(self, query: Tensor) -> Tensor:
        return self.score.project_query(query)

    def project_keys(self, keys: Tensor) -> Tensor:
        return self.score.project_keys(keys)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return self.score(query, keys) + self.bias


class RecurrentPlus(RecurrentScore):
    """The same for a recurrent score."""

    def __init__(self, score: RecurrentScore, bias: Tensor) -> None:
        super().__init__()
        self.score, self.bias = score, bias

    project_query, project_keys = Plus.project_query, Plus.project_keys

    def forward(self, query: Tensor, keys: Tensor, past: Past | None) -> Tensor:
        return self.score(query, keys, past) + self.bias


@every_mechanism
@both
def test_a_bias_is_a_score_with_it_added(parts: Any, heads: int, gradients: Gradients) -> None:
    query, memory = numbers(BATCH, TARGET, SIZE), numbers(BATCH, SOURCE, SIZE)
    bias = numbers(1, heads, 1, SOURCE).requires_grad_()
    module, judge = make(parts, heads), make(parts, heads)
    results: list[list[Any]] = []
    for attend in (module, judge):
        options: Any = {"bias": bias}
        if attend is judge:
            options = {}
            if judge.relative is not None and judge.relative.needs_dot_product:
                pytest.skip("the score of the judge is no dot product")
            plus = RecurrentPlus if isinstance(judge.score, RecurrentScore) else Plus
            judge.score = plus(judge.score, bias)  # type: ignore[assignment]
        torch.manual_seed(2)
        output = attend(query, attend.project(memory), need_alignment=True, **options)
        results.append([output.context, output.alignment, *gradients(output.context, [bias])])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


@every_mechanism
@both
def test_each_query_has_its_row(parts: Any, heads: int) -> None:
    module = make(parts, heads).eval()
    query, memory = numbers(BATCH, TARGET, SIZE), numbers(BATCH, SOURCE, SIZE)
    bias, projected = 3.0 + numbers(BATCH, heads, TARGET, SOURCE), module.project(memory)
    whole = module(query, projected, bias=bias, need_alignment=True)
    state = START
    for t in range(TARGET):
        one = slice(t, t + 1)
        rest: Any = {"bias": bias[:, :, one], "need_alignment": True}
        step = module.step(query[:, one], projected, state, **rest)
        state = step.state
        torch.testing.assert_close(step.context, whole.context[:, one])
        torch.testing.assert_close(by_head(step.alignment), by_head(whole.alignment)[:, :, one])
    some = module(query, projected, bias=bias, need_alignment=AlignmentOf(queries=[2, 0]))
    torch.testing.assert_close(by_head(some.alignment), by_head(whole.alignment)[:, :, [2, 0]])


@every_mechanism
@both
def test_minus_infinity_hides_like_a_mask_for_each_head(
    parts: Any, heads: int, gradients: Gradients
) -> None:
    module = make(parts, heads).eval()
    query = numbers(BATCH, TARGET, SIZE).requires_grad_()
    projected = module.project(numbers(BATCH, SOURCE, SIZE))
    seen = torch.rand(BATCH, heads, TARGET, SOURCE) < 0.6
    seen[0, 0, 1] = False
    bias = torch.zeros(seen.shape, dtype=torch.float64).masked_fill(~seen, -torch.inf)
    results = []
    odd = torch.arange(SOURCE) % 2 == 1  # half of what is hidden by each
    both = {"bias": bias.masked_fill(~seen & odd, 7.0), "mask": seen | ~odd}
    every: list[Any] = [{"mask": seen}, {"bias": bias}, both]
    for options in every:
        output = module(query, projected, need_alignment=True, **options)
        alignment = by_head(output.alignment)
        assert (alignment[~seen] == 0.0).all()
        learns = [] if parts[2] == "monotonic" else gradients(output.context, [query])
        results.append([output.context, alignment, *learns])
        assert all(one.isfinite().all() for one in results[-1])
    for others in results[1:]:
        for found, expected in zip(others, results[0], strict=True):
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("shape", [(1, 1, 1, SOURCE), (BATCH, 2, TARGET, SOURCE)])
@pytest.mark.parametrize(
    ("score", "kernel"),
    [("scaled_dot", "sdpa"), ("scaled_dot", "dense"), ("additive", "blocked")],
)
def test_kernels_equal_the_reference(
    score: str, kernel: str, shape: tuple[int, ...], gradients: Gradients
) -> None:
    query, memory = numbers(BATCH, TARGET, SIZE), numbers(BATCH, SOURCE, SIZE)
    bias, results = numbers(*shape).requires_grad_(), []
    mask = torch.rand(BATCH, 2, TARGET, SOURCE) < 0.7
    for name in (kernel, "reference"):
        module = make((score, "causal", "soft", None), 2, name)
        output = module(query, module.project(memory), mask=mask, bias=bias, need_alignment=True)
        inputs = [bias, *module.parameters()]
        results.append([output.context, output.alignment, *gradients(output.context, inputs)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_kernels_without_a_bias_say_so() -> None:
    memory, bias = numbers(1, 600, SIZE), numbers(1, 1, 1, 600)
    for kernel, scope in (("banded", "sliding_window"), ("windowed", "local_p")):
        module = make(("scaled_dot", scope, "soft", None), 2, kernel)
        with pytest.raises(ValueError, match=f"kernel: '{kernel}' cannot serve this call: a bias"):
            module(memory, module.project(memory), bias=bias)
        module.kernel = "auto"
        biased = module(memory, module.project(memory), bias=bias).context
        module.kernel = "reference"
        torch.testing.assert_close(
            biased, module(memory, module.project(memory), bias=bias).context
        )


def test_a_shared_mask_takes_a_bias() -> None:
    module = make(("scaled_dot", "causal", "soft", None), 2)
    assert isinstance(module, MultiHeadAttention)
    x, bias = numbers(BATCH, TARGET, SIZE), numbers(1, 2, TARGET, TARGET)
    query, projected = module.project_self(x)
    visible = module.visible(TARGET, projected)
    found = module.attend_heads(query, projected, visible=visible, bias=bias).context
    expected = module(x, module.project(x), bias=bias).context
    torch.testing.assert_close(found, expected)
    plain = module.attend_heads(query, projected, visible=visible).context
    torch.testing.assert_close(plain, module(x, module.project(x)).context)


def test_bad_input(shapes_unchecked: None) -> None:
    module = make(("dot", "global", "soft", None), 2)
    query, projected = numbers(BATCH, TARGET, SIZE), module.project(numbers(BATCH, SOURCE, SIZE))
    expected = "expected real numbers [batch, heads, target, source] = [2, 2, 3, 5], where 1 may"
    bias: Any
    for bias, found in (
        (numbers(BATCH, TARGET, SOURCE), "torch.float64 of shape [2, 3, 5]"),
        (numbers(BATCH, 3, TARGET, SOURCE), "torch.float64 of shape [2, 3, 3, 5]"),
        (torch.ones(1, 1, 1, SOURCE, dtype=torch.bool), "torch.bool of shape [1, 1, 1, 5]"),
        ([0.0], "a list"),
    ):
        with pytest.raises(ValueError, match=re.escape(f"bias: got {found}, {expected}")):
            module(query, projected, bias=bias)
    message = "or [batch, heads, target, source] = [2, 2, 3, 5], True = may attend"
    with pytest.raises(ValueError, match=re.escape(message)):
        module(query, projected, mask=torch.ones(BATCH, 3, TARGET, SOURCE, dtype=torch.bool))
