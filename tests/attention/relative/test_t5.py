import math
from collections.abc import Callable

import pytest
import torch

from kochi.attention import Positions
from kochi.attention.relative import T5
from kochi.attention.relative.t5 import first_distances, t5_buckets

CPU = torch.device("cpu")


def bucket(distance: int, num_buckets: int, max_distance: int, bidirectional: bool) -> int:
    """The authors' code, for one distance."""
    found = 0
    if bidirectional:
        num_buckets //= 2
        found += num_buckets * (distance > 0)
        far = abs(distance)
    else:
        far = max(-distance, 0)
    exact = num_buckets // 2
    if far < exact:
        return found + far
    position = math.log(far / exact) / math.log(max_distance / exact) * (num_buckets - exact)
    return found + min(exact + math.floor(position + 1e-9), num_buckets - 1)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (8, 20), (10, 17), (4, 100)])
def test_buckets_equal_the_formula_as_a_loop(
    num_buckets: int, max_distance: int, bidirectional: bool
) -> None:
    one_side = num_buckets // 2 if bidirectional else num_buckets
    distances = list(range(-150, 151))
    firsts = torch.tensor(first_distances(one_side, max_distance))
    found = t5_buckets(torch.tensor(distances), firsts, bidirectional)
    expected = [bucket(d, num_buckets, max_distance, bidirectional) for d in distances]
    assert found.tolist() == expected


def test_by_hand() -> None:
    term = T5(1, num_buckets=4, max_distance=4, bidirectional=False)
    with torch.no_grad():
        term.bias.copy_(torch.tensor([[10.0], [11.0], [12.0], [13.0]]))
    # Distances back of 0, 1, 2 to below sqrt(2 * 4) = 2.83, and from there on.
    found = term(torch.zeros(1, 1, 1, 2), Positions(1, 6, CPU, start=4))
    assert found.tolist() == [[[[13.0, 13.0, 12.0, 11.0, 10.0, 10.0]]]]


@pytest.mark.parametrize("bidirectional", [True, False])
def test_each_head_and_sentence_has_its_own(bidirectional: bool) -> None:
    term = T5(3, num_buckets=8, max_distance=20, bidirectional=bidirectional).double()
    torch.nn.init.normal_(term.bias)
    keys = torch.tensor([[0, 1, 2, 30, 4], [5, 5, 0, 7, 1]])
    found = term(torch.zeros(2, 3, 2, 4).double(), Positions(2, 5, CPU, start=3, key=keys))
    assert found.shape == (2, 3, 2, 5)
    for b, h, t, s in torch.cartesian_prod(*map(torch.arange, found.shape)).tolist():
        row = bucket(int(keys[b, s]) - (t + 3), 8, 20, bidirectional)
        assert found[b, h, t, s] == term.bias[row, h]


def test_gradients(check_gradients: Callable[..., None]) -> None:
    term = T5(2, num_buckets=4).double()
    check_gradients(term, lambda: term(torch.zeros(1, 2, 3, 4).double(), Positions(3, 5, CPU)))


def test_options_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"num_buckets: got 3, expected a whole number of 4 or mo"):
        T5(2, num_buckets=3)
    with pytest.raises(ValueError, match=r"num_buckets: got 5, expected an even number with bidir"):
        T5(2, num_buckets=5)
    with pytest.raises(ValueError, match=r"max_distance: got 8, expected a whole number of 9 or m"):
        T5(2, max_distance=8)
    T5(2, num_buckets=5, bidirectional=False)
