import pytest
import torch

from kochi.attention import Positions, build
from kochi.attention.scopes import Causal, SlidingWindow

CPU = torch.device("cpu")


def test_equals_the_formula_as_a_loop() -> None:
    keys = torch.tensor([[0, 1, 2, 30, 4], [5, 5, 0, 7, 1]])
    seen = SlidingWindow(left=2, right=1)(Positions(3, 5, CPU, start=2, key=keys))
    assert seen is not None
    assert seen.shape == (2, 3, 5)
    for b, t, s in torch.cartesian_prod(*map(torch.arange, seen.shape)).tolist():
        assert seen[b, t, s].item() == (-2 <= int(keys[b, s]) - (t + 2) <= 1)


def test_open_to_the_left_and_closed_to_the_right_is_causal() -> None:
    positions = Positions(4, 7, CPU, start=1)
    found, causal = SlidingWindow(left=7, right=0)(positions), Causal()(positions)
    assert found is not None
    assert causal is not None
    assert torch.equal(found, causal)


def test_a_query_far_from_all_keys_reads_nothing() -> None:
    module = build(
        "dot", {"kind": "sliding_window", "left": 1, "right": 1}, query_size=3, memory_size=3
    )
    query = torch.randn(1, 5, 3, requires_grad=True)
    context, alignment, _ = module(query, module.project(torch.randn(1, 2, 3)), need_alignment=True)
    assert alignment is not None
    assert (alignment[0, 3:] == 0).all()
    assert (context[0, 3:] == 0).all()
    (gradient,) = torch.autograd.grad(context.sum(), query)
    assert gradient.isfinite().all()


def test_options_out_of_range(shapes_unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"left: got -1, expected a whole number of 0 or more"):
        SlidingWindow(left=-1)
    with pytest.raises(ValueError, match=r"right: got 1.5, expected a whole number of 0 or more"):
        build("dot", {"kind": "sliding_window", "right": 1.5}, query_size=3, memory_size=3)
