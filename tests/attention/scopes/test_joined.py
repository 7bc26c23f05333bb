"""Joined scopes see what all of them see, and keep the fast kernels."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import Bool
from torch import Tensor

from kochi.attention import START, Positions, Scope, build
from kochi.attention.scopes import (
    AnyScope,
    Causal,
    Coverage,
    Global,
    LocalM,
    LocalP,
    SlidingWindow,
    join_scopes,
)
from kochi.attention.scopes.joined import Intersection, PredictedWithin, RecurrentWithin

CPU = torch.device("cpu")
Gradients = Callable[..., list[Tensor]]


class Even(Scope):
    """A scope of one's own."""

    def forward(self, positions: Positions) -> Bool[Tensor, "target source"]:
        return (positions.keys() % 2 == 0).expand(positions.query_length, -1)


PLAIN = [
    Global,
    Causal,
    lambda: SlidingWindow(left=2, right=1),
    lambda: SlidingWindow(left=1, right=3),
    LocalM,
]
PLACES = [
    Positions(5, 5, CPU),
    Positions(3, 7, CPU, start=2),
    Positions(2, 7, CPU, query=4),
    Positions(2, 3, CPU, query=torch.tensor([[0, 5], [1, 2]]), key=torch.tensor([4, 1, 0])),
]


def mask_of(scope: AnyScope, positions: Positions) -> Tensor:
    """Ask a scope and write out what "everything" is."""
    assert isinstance(scope, Scope)
    seen = scope(positions)
    ones = torch.ones(positions.query_length, positions.key_length, dtype=torch.bool)
    return ones if seen is None else seen & ones


@pytest.mark.parametrize("positions", PLACES)
def test_the_intersection_of_masks(positions: Positions) -> None:
    for makers in itertools.product([*PLAIN, lambda: LocalM(width=0, ratio=2.0)], repeat=3):
        scopes = [make() for make in makers]
        expected = mask_of(Global(), positions)
        for scope in scopes:
            expected = expected & mask_of(scope, positions)
        assert torch.equal(mask_of(join_scopes(scopes), positions), expected)


def test_as_few_as_will_do() -> None:
    assert type(join_scopes([Global(), Global()])) is Global
    assert type(join_scopes([Global(), Causal(), Causal()])) is Causal
    window = join_scopes([Causal(), SlidingWindow(left=4, right=9), SlidingWindow(left=6, right=2)])
    assert isinstance(window, SlidingWindow)
    assert window.band(Positions(9, 9, CPU)) == (4, 0)
    nested = join_scopes(
        [join_scopes([Even(), Causal()]), SlidingWindow(left=3, right=3), LocalM()]
    )
    assert isinstance(nested, Intersection)
    assert [type(scope) for scope in nested.parts] == [SlidingWindow, Even, LocalM]
    only = Coverage()
    assert join_scopes([Global(), only]) is only


def test_a_subclass_is_not_taken_for_what_it_comes_from() -> None:
    class Odd(Causal):
        def forward(self, positions: Positions) -> Bool[Tensor, "target source"]:
            return positions.keys() % 2 == positions.queries() % 2

    joined = join_scopes([Odd(), SlidingWindow(left=1, right=1)])
    assert mask_of(joined, Positions(3, 3, CPU)).int().tolist() == torch.eye(3).int().tolist()


def test_what_lies_within_joins_again() -> None:
    first = join_scopes([Causal(), Coverage()])
    again = join_scopes([first, SlidingWindow(left=2, right=2)])
    assert isinstance(again, RecurrentWithin)
    assert mask_of(again.within, Positions(4, 4, CPU)).sum() == 9  # 1 + 2 + 3 + 3
    local = join_scopes([LocalP(4), Even()])
    assert isinstance(local, PredictedWithin) and isinstance(local.within, Even)


@pytest.mark.parametrize("pair", [("local_p", "coverage"), ("local_p", "local_p")])
def test_two_that_do_more_than_hide_cannot_join(pair: tuple[str, str]) -> None:
    with pytest.raises(
        ValueError, match=r"scope: LocalP and \w+ cannot be joined: each weights"
    ) as error:
        build("dot", ["causal", *pair], query_size=4, memory_size=4)
    assert str(error.value).endswith(
        "keep one of them, with any number of scopes that depend on positions alone "
        "('causal', 'sliding_window', 'local_m')"
    )


def test_a_list_is_checked_like_a_name() -> None:
    sizes: dict[str, Any] = {"query_size": 4, "memory_size": 4}
    with pytest.raises(ValueError, match="scope: got an empty list, expected at least one scope"):
        build("dot", [], **sizes)
    with pytest.raises(ValueError, match="scope: got 'casual', expected one of 'global'"):
        build("dot", ["global", "casual"], **sizes)
    with pytest.raises(ValueError, match="scope 'local_m': got the option 'left'"):
        build("dot", ["causal", {"kind": "local_m", "left": 3}], **sizes)
    assert isinstance(build("dot", (Even(), "causal"), **sizes).scope, Intersection)


WINDOW = {"kind": "sliding_window", "left": 4, "right": 2}
LOCAL_M = {"kind": "local_m", "width": 2, "ratio": 1.5}
SERVED = [
    *itertools.product(["scaled_dot"], ["auto", "sdpa", "dense"], [["causal", WINDOW]]),
    ("scaled_dot", "banded", ["causal", WINDOW]),
    *itertools.product(["scaled_dot"], ["auto", "sdpa", "dense"], [["causal", WINDOW, LOCAL_M]]),
    *itertools.product(["additive"], ["blocked"], [["causal", WINDOW], ["causal", LOCAL_M]]),
    ("additive", "blocked", [WINDOW, "local_p"]),
    ("additive", "blocked", ["causal", "coverage"]),
    ("scaled_dot", "dense", [WINDOW, {"kind": "local_p", "width": 5}]),
    ("scaled_dot", "dense", ["causal", "local_p"]),
]


@pytest.mark.parametrize(("score", "kernel", "scope"), SERVED, ids=str)
def test_every_kernel_equals_the_reference(
    score: str, kernel: str, scope: list[Any], gradients: Gradients
) -> None:
    values = torch.randn(2, 23, 8, dtype=torch.float64)
    mask = torch.arange(23) < torch.tensor([[23], [9]])
    results: list[list[Tensor]] = []
    weights: dict[str, Tensor] = {}
    for name in ("reference", kernel):
        module = build(score, scope, query_size=8, memory_size=8, num_heads=2, kernel=name).double()
        module.load_state_dict(weights or module.state_dict())
        weights = module.state_dict()
        asked = [values.clone().requires_grad_(), *module.parameters()]
        context = module(asked[0], module.project(asked[0], mask)).context
        results.append([context, *gradients(context, asked)])
    torch.testing.assert_close(results[1], results[0])


@pytest.mark.parametrize("other", ["local_p", "coverage"])
def test_a_window_or_bias_lies_on_top(other: str) -> None:
    """It equals the scope alone with a mask for every query."""
    sizes: dict[str, Any] = {"query_size": 8, "memory_size": 8, "num_heads": 2}
    alone = build("general", other, **sizes).double()
    module = build("general", ["causal", other, WINDOW], **sizes).double()
    for one, theirs in zip(module.parameters(), alone.parameters(), strict=True):
        one.data = theirs.data.normal_()
    query, values = torch.randn(2, 7, 8).double(), torch.randn(2, 9, 8).double()
    padding = torch.arange(9) < torch.tensor([[9], [4]])
    seen = mask_of(join_scopes([Causal(), SlidingWindow(left=4, right=2)]), Positions(7, 9, CPU))
    expected = alone(query, alone.project(values, padding), seen.expand(2, -1, -1), None, True)
    projected = module.project(values, padding)
    found = module(query, projected, need_alignment=True)
    torch.testing.assert_close(found.context, expected.context)
    torch.testing.assert_close(found.alignment, expected.alignment)
    state = START
    for t in range(7):
        one = module.step(query[:, t : t + 1], projected, state)
        torch.testing.assert_close(one.context, found.context[:, t : t + 1])
        state = one.state


def test_fast_paths_stay_in_use() -> None:
    sizes: dict[str, Any] = {"query_size": 8, "memory_size": 8}
    module = build("dot", ["causal", WINDOW], **sizes)
    assert module.choose(4096, 4096)[0] == "banded"
    triangle = build("dot", ["global", "causal"], **sizes)
    assert triangle.visible(9, triangle.project(torch.zeros(1, 9, 8))).triangle
    with pytest.raises(ValueError, match="the scope Intersection is not a sliding window"):
        build("dot", ["causal", LOCAL_M], kernel="banded", **sizes)


def test_where_they_share_nothing_the_context_is_zero() -> None:
    far = {"kind": "local_m", "width": 0, "ratio": 3.0}
    module = build("dot", ["causal", far], query_size=8, memory_size=8)
    values = torch.randn(1, 5, 8, requires_grad=True)
    output = module(values, module.project(values), need_alignment=True)
    assert output.alignment is not None
    assert output.alignment.sum(-1).tolist() == [[1.0, 0.0, 0.0, 0.0, 0.0]]
    assert (output.context[:, 1:] == 0.0).all()
    (gradient,) = torch.autograd.grad(output.context.sum(), values)
    assert gradient.isfinite().all()
