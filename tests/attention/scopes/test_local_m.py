import math

import pytest
import torch

from kochi.attention import Positions, build
from kochi.attention.scopes import LocalM

CPU = torch.device("cpu")


@pytest.mark.parametrize("ratio", [1.0, 0.3, 1.5, 2.0])
def test_equals_the_formula_as_a_loop(ratio: float) -> None:
    seen = LocalM(width=2, ratio=ratio)(Positions(5, 11, CPU, start=1))
    assert seen is not None
    assert seen.shape == (5, 11)
    for t in range(5):
        centre = math.floor(ratio * (t + 1) + 0.5)
        for s in range(11):
            assert seen[t, s].item() == (centre - 2 <= s <= centre + 2)


def test_the_window_walks_on_with_the_state() -> None:
    module = build("dot", {"kind": "local_m", "width": 0}, query_size=3, memory_size=3)
    projected, state = module.project(torch.randn(1, 3, 3)), None
    for position in range(5):
        _, alignment, state = module(
            torch.randn(1, 1, 3), projected, state=state, need_alignment=True
        )
        assert alignment is not None
        assert alignment.flatten().tolist() == [float(position == s) for s in range(3)]


def test_options_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"width: got -1, expected a whole number of 0 or more"):
        LocalM(width=-1)
    with pytest.raises(ValueError, match=r"ratio: got 0.0, expected a finite number above 0"):
        LocalM(ratio=0.0)
