from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kochi.attention import Positions, build
from kochi.attention.relative import Shaw

CPU = torch.device("cpu")


def test_equals_the_formula_as_a_loop() -> None:
    term = Shaw(5, 0.5, max_distance=2).double()
    query = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    keys = torch.tensor([[0, 1, 2, 3, 4, 5, 6], [3, 3, 9, 0, 1, 2, 4]])
    found = term(query, Positions(4, 7, CPU, start=1, key=keys))
    assert found.shape == (2, 3, 4, 7)
    for b, h, t, s in torch.cartesian_prod(*map(torch.arange, found.shape)).tolist():
        distance = max(-2, min(2, int(keys[b, s]) - (t + 1)))
        expected = 0.5 * (query[b, h, t] @ term.vectors[distance + 2]).item()
        assert found[b, h, t, s].item() == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("score", "scale"), [("dot", 1.0), ("scaled_dot", 0.5), ("general", 1.0)])
def test_it_is_scaled_as_the_score(score: str, scale: float) -> None:
    module = build(score, query_size=8, memory_size=8, num_heads=2, relative="shaw")
    assert isinstance(module.relative, Shaw)
    assert module.relative.dot_scale == scale


def test_it_is_as_if_added_to_the_keys() -> None:
    """Equation 4: the query meets the key plus the vector of the distance."""
    module = build("scaled_dot", query_size=4, memory_size=4, relative="shaw").double()
    assert isinstance(module.relative, Shaw)
    query, memory = torch.randn(1, 3, 4).double(), torch.randn(1, 5, 4).double()
    found = module(query, module.project(memory), need_alignment=True).alignment
    distances = torch.arange(5) - torch.arange(3).unsqueeze(1)
    keys = memory + module.relative.vectors[distances + 16]
    expected = torch.einsum("td,tsd->ts", query[0], keys).div(2.0).softmax(-1)
    torch.testing.assert_close(found, expected.unsqueeze(0))


def test_sizes_of_a_matrix_between_query_and_memory() -> None:
    module = build("general", query_size=3, memory_size=7, relative="shaw")
    output = module(torch.randn(2, 4, 3), module.project(torch.randn(2, 5, 7)))
    assert output.context.shape == (2, 4, 7)


def test_gradients(check_gradients: Callable[..., None]) -> None:
    term = Shaw(3, 0.5, max_distance=2).double()

    def run(query: Tensor) -> Tensor:
        return term(query, Positions(2, 5, CPU))

    check_gradients(term, run, torch.randn(2, 2, 2, 3, dtype=torch.float64))


def test_options_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"max_distance: got 0, expected a whole number of 1 or m"):
        Shaw(4, 1.0, max_distance=0)
