import pytest
import torch

from kochi.attention import Positions
from kochi.attention.relative import Alibi
from kochi.attention.relative.alibi import alibi_slopes

CPU = torch.device("cpu")


def test_slopes_of_the_paper() -> None:
    assert alibi_slopes(8) == [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]
    assert alibi_slopes(16)[:2] == pytest.approx([2**-0.5, 2**-1.0])
    assert alibi_slopes(1) == [1 / 256]


@pytest.mark.parametrize("heads", range(1, 25))
def test_slopes_of_any_number_of_heads_differ(heads: int) -> None:
    slopes = alibi_slopes(heads)
    assert len(set(slopes)) == len(slopes) == heads
    assert all(0 < slope < 1 for slope in slopes)


def test_slopes_between_two_powers() -> None:
    eight, sixteen = alibi_slopes(8), alibi_slopes(16)
    assert alibi_slopes(12) == eight + sixteen[0::2][:4]


def test_equals_the_formula_as_a_loop() -> None:
    term = Alibi(6).double()
    keys = torch.tensor([[0, 1, 2, 30, 4], [5, 5, 0, 7, 1]])
    query = torch.zeros(2, 6, 3, 4, dtype=torch.float64)
    found = term(query, Positions(3, 5, CPU, start=2, key=keys))
    for b, h, t, s in torch.cartesian_prod(*map(torch.arange, found.shape)).tolist():
        expected = -alibi_slopes(6)[h] * abs(int(keys[b, s]) - (t + 2))
        assert found[b, h, t, s].item() == pytest.approx(expected, rel=1e-6)  # slopes in float32


def test_far_distances_in_16_bits_are_rounded_once() -> None:
    found = Alibi(2).bfloat16()(torch.zeros(1, 2, 1, 4).bfloat16(), Positions(1, 600, CPU))
    expected = (-torch.tensor([1 / 16, 1 / 256])[:, None] * torch.arange(600)).bfloat16()
    assert found.dtype == torch.bfloat16
    assert torch.equal(found[0, :, 0], expected)


def test_nothing_to_learn_and_nothing_to_save() -> None:
    assert not list(Alibi(3).parameters())
    assert not Alibi(3).state_dict()
