"""Dropout drops the right share, keeps the expectation, and its gradient uses the same mask."""

import pytest
import torch

from kochi.layers.dropout import Dropout


def test_share_and_scale():
    torch.manual_seed(0)
    out = Dropout(0.3)(torch.ones(1000, 1001))
    dropped = 77 / 256
    share = (out == 0).double().mean().item()
    assert abs(share - dropped) < 5 * (dropped * (1 - dropped) / out.numel()) ** 0.5
    kept = out[out != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 256 / (256 - 77)))


def test_elements_are_independent_of_their_neighbours():
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(2**18)) != 0).double() - 0.5
    for distance in (1, 3, 7, 8, 64):
        assert abs((kept[:-distance] * kept[distance:]).mean().item()) < 0.25 * 5 / 2**9


def test_gradient_has_the_mask_of_the_output():
    x = torch.randn(7, 11, dtype=torch.double, requires_grad=True)
    out = Dropout(0.4)(x)
    (grad,) = torch.autograd.grad(out.sum(), x)
    torch.testing.assert_close(grad * x, out)
    assert (grad == 0).any() and (grad != 0).any()


@pytest.mark.parametrize("layer", [Dropout(0.5).eval(), Dropout(0.0)])
def test_nothing_happens_in_eval_mode_or_at_rate_zero(layer):
    x = torch.randn(3, 5)
    assert layer(x) is x


def test_an_odd_number_of_elements_and_none():
    assert Dropout(0.5)(torch.ones(13)).shape == (13,)
    assert Dropout(0.5)(torch.ones(0, 3)).shape == (0, 3)


def test_the_seed_decides():
    layer = Dropout(0.5)
    torch.manual_seed(4)
    first = layer(torch.ones(100))
    torch.manual_seed(4)
    assert torch.equal(layer(torch.ones(100)), first)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ValueError, match="rate must be in"):
        Dropout(rate)
