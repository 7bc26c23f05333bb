"""The loss of a mixture equals the sum over every position, written out, in value and gradient."""

import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from kochi.attention.selections import marginal_log_likelihood
from kochi.decoders import mixture as mixture_file
from kochi.decoders.mixture import Mixture
from kochi.training.losses import cross_entropy
from kochi.training.mixture_loss import mixture_cross_entropy

BATCH, TARGET, SOURCE, SIZE, VOCABULARY = 3, 5, 7, 2, 11


class Leaves(NamedTuple):
    """What is trained."""

    of_target: Tensor
    of_positions: Tensor
    alignment: Tensor
    weight: Tensor
    bias: Tensor

    def mixture(self, kept: Tensor | None = None) -> Mixture:
        return Mixture(self.of_target, self.of_positions, self.alignment, kept)

    def loss(self, targets, mask, smoothing=0.0, kept=None):
        mixture = self.mixture(kept)
        return mixture_cross_entropy(mixture, self.weight, self.bias, targets, mask, smoothing)


def example(dtype=torch.double, kept=False):
    """Return what is trained and what is not."""
    torch.manual_seed(2)
    alignment = torch.rand(BATCH, TARGET, SOURCE, dtype=dtype)
    alignment[1, :, 3:] = 0.0
    alignment[2, 2] = 0.0
    alignment[2, 2, 4] = 1.0
    leaves = (
        torch.randn(BATCH, TARGET, SIZE, dtype=dtype),
        torch.randn(BATCH, SOURCE, SIZE, dtype=dtype),
        alignment / alignment.sum(-1, keepdim=True),
        torch.randn(VOCABULARY, SIZE, dtype=dtype),
        torch.randn(VOCABULARY, dtype=dtype),
    )
    targets = torch.randint(VOCABULARY, (BATCH, TARGET))
    mask = torch.arange(TARGET) < torch.tensor([5, 1, 4])[:, None]
    dropped = torch.tensor([0.0, 1.25], dtype=dtype)[torch.randint(2, (BATCH, TARGET, SIZE))]
    leaves = Leaves(*(leaf.requires_grad_() for leaf in leaves))
    return leaves, targets, mask, dropped if kept else None


def over_all_positions(leaves, targets, mask, kept, smoothing):
    """Sum position by position and token by token."""
    of_target, of_positions, alignment, weight, bias = leaves
    total = of_target.new_zeros(())
    for b, t in mask.nonzero().tolist():
        predicted = torch.zeros_like(bias)
        for s in range(SOURCE):
            features = (of_target[b, t] + of_positions[b, s]).tanh()
            if kept is not None:
                features = features * kept[b, t]
            predicted = predicted + alignment[b, t, s] * (weight @ features + bias).softmax(0)
        total = total - (1.0 - smoothing) * predicted[targets[b, t]].log()
        total = total - smoothing * predicted.log().mean()
    return total


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("rows", [1, 4, 1000])
def test_value_and_gradients(rows, smoothing, kept, monkeypatch):
    monkeypatch.setitem(mixture_file.CHUNK, "cpu", rows * SOURCE * VOCABULARY)
    leaves, targets, mask, dropped = example(kept=kept)
    loss, nll = leaves.loss(targets, mask, smoothing, dropped)
    expected = over_all_positions(leaves, targets, mask, dropped, smoothing)
    torch.testing.assert_close(loss, expected)
    plain = over_all_positions(leaves, targets, mask, dropped, 0.0)
    torch.testing.assert_close(nll.sum(), plain.detach())
    assert (nll[~mask] == 0.0).all()
    found = torch.autograd.grad(0.7 * loss, leaves)
    wanted = list(torch.autograd.grad(0.7 * expected, leaves))
    # A position of alignment 0 takes no part; written out, it would have a slope of its own.
    wanted[2] = wanted[2].where(leaves.alignment > 0, 0.0)
    torch.testing.assert_close(found, tuple(wanted))


def test_log_probabilities_are_those_of_the_loss_with_every_gradient():
    leaves, targets, mask, _ = example()
    log_probs = leaves.mixture().log_probabilities(leaves.weight, leaves.bias)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(BATCH, TARGET).double())
    chosen = -log_probs.gather(2, targets.unsqueeze(-1)).squeeze(-1)[mask].sum()
    loss, _ = leaves.loss(targets, mask)
    torch.testing.assert_close(loss, chosen)
    torch.testing.assert_close(
        torch.autograd.grad(loss, leaves), torch.autograd.grad(chosen, leaves)
    )


def test_it_is_the_marginal_log_likelihood():
    leaves, targets, mask, _ = example()
    of_target, of_positions, alignment, weight, bias = leaves
    features = (of_target.unsqueeze(2) + of_positions.unsqueeze(1)).tanh()
    log_probs = (features @ weight.t() + bias).log_softmax(-1)
    index = targets[:, :, None, None].expand(-1, -1, SOURCE, 1)
    expected = marginal_log_likelihood(alignment, log_probs.gather(3, index).squeeze(3))
    _, nll = leaves.loss(targets, mask)
    torch.testing.assert_close(nll, -expected.detach() * mask)


def test_by_hand():
    """Two positions of a half each, which give the right token 1/4 and 3/4: one half in all."""
    logit = math.log(3.0)
    of_positions = torch.tensor([[[1e3], [-1e3]]])  # features 1 and -1
    mixture = Mixture(torch.zeros(1, 1, 1), of_positions, torch.tensor([[[0.5, 0.5]]]))
    weight, bias = torch.tensor([[logit / 2], [-logit / 2]]), torch.zeros(2)
    one, right = torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.long)
    _, nll = mixture_cross_entropy(mixture, weight, bias, right, one)
    assert nll.item() == pytest.approx(math.log(2.0))


def test_one_position_is_the_plain_cross_entropy():
    leaves, targets, mask, _ = example()
    alignment = torch.ones(BATCH, TARGET, 1, dtype=torch.double)
    only = leaves._replace(of_positions=leaves.of_positions[:, :1], alignment=alignment)
    features = (only.of_target + only.of_positions).tanh()
    for smoothing in (0.0, 0.1):
        found = only.loss(targets, mask, smoothing)
        expected = cross_entropy(features, only.weight, only.bias, targets, mask, smoothing)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_tokens_of_no_probability_are_finite(smoothing):
    leaves, targets, mask, _ = example(torch.float32)
    leaves.bias.data[0] = 1e4
    loss, _ = leaves.loss(targets, mask, smoothing)
    assert 1e3 < loss < 2e5
    for gradient in torch.autograd.grad(loss, leaves):
        assert gradient.isfinite().all()


def test_bfloat16_products_stay_close():
    leaves, targets, mask, _ = example(torch.float32)
    expected, _ = leaves.loss(targets, mask, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = leaves.loss(targets, mask, 0.1)
    torch.testing.assert_close(loss, expected, rtol=0.02, atol=0.0)
    grads, wanted = torch.autograd.grad(loss, leaves), torch.autograd.grad(expected, leaves)
    for one, other in zip(grads, wanted, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.03 * other.norm()


def test_the_outputs_of_all_positions_are_never_held(monkeypatch):
    """No tensor is larger than a chunk, or than what is trained."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        numbers = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            found = func(*args, **(kwargs or {}))
            for tensor in found if isinstance(found, tuple | list) else (found,):
                if isinstance(tensor, torch.Tensor):
                    self.numbers = max(self.numbers, tensor.numel())
            return found

    monkeypatch.setitem(mixture_file.CHUNK, "cpu", 2 * SOURCE * VOCABULARY)
    leaves, targets, mask, _ = example()
    with Largest() as largest:
        loss, _ = leaves.loss(targets, mask, 0.1)
        loss.backward()
    assert largest.numbers == 2 * SOURCE * VOCABULARY
    with torch.no_grad(), Largest() as largest:
        found = leaves.mixture().log_probabilities(leaves.weight, leaves.bias)
    assert largest.numbers == found.numel() < BATCH * TARGET * SOURCE * VOCABULARY


def test_no_row_counts():
    leaves, targets, mask, _ = example()
    loss, nll = leaves.loss(targets, mask & False, 0.1)
    loss.backward()
    assert loss.item() == 0.0 and (nll == 0.0).all()
    assert all((leaf.grad == 0).all() for leaf in leaves)
