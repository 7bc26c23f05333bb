from collections.abc import Callable

import pytest
import torch

from kochi.attention import build
from kochi.attention.scores import Location


def test_equals_the_formula_as_a_loop() -> None:
    score = Location(5, 3, max_length=11).double()
    query, keys = torch.randn(2, 3, 4, 5).double(), torch.randn(2, 3, 7, 6).double()
    found = score(query, keys)
    assert found.shape == (2, 3, 4, 7)
    for b, h, t, s in torch.cartesian_prod(*map(torch.arange, found.shape)).tolist():
        expected = sum(
            w * x for w, x in zip(score.weight[h, s].tolist(), query[b, h, t].tolist(), strict=True)
        )
        assert found[b, h, t, s].item() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_gradients(check_gradients: Callable[..., None]) -> None:
    score = Location(3, 2, max_length=5).double()
    keys = torch.randn(1, 2, 4, 6).double()
    check_gradients(score, lambda q: score(q, keys), torch.randn(1, 2, 2, 3).double())


def test_what_stands_in_the_memory_does_not_matter() -> None:
    module = build("location", query_size=3, memory_size=4)
    query = torch.randn(2, 3, 3)
    one, other = (
        module(query, module.project(torch.randn(2, 5, 4)), need_alignment=True).alignment
        for _ in range(2)
    )
    assert one is not None
    assert other is not None
    assert torch.equal(one, other)


@pytest.mark.parametrize("heads", [1, 2])
def test_a_memory_longer_than_max_length_is_refused(heads: int) -> None:
    module = build(
        {"kind": "location", "max_length": 5}, query_size=4, memory_size=4, num_heads=heads
    )
    query = torch.randn(1, 2, 4)
    module(query, module.project(torch.randn(1, 5, 4)))
    with pytest.raises(
        ValueError, match=r"the memory has 6 positions, .* max_length=5 only; build"
    ):
        module(query, module.project(torch.randn(1, 6, 4)))


def test_options_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"max_length: got 0, expected a whole number of 1 or mor"):
        Location(4, max_length=0)
