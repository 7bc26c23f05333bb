"""The Monte-Carlo gradient of hard attention."""

import itertools

import pytest
import torch

from kochi import config
from kochi.decoders.output import Samples
from kochi.training.reinforce import next_baseline, reinforce


def test_expected_gradient_is_the_exact_one():
    """All paths of two steps over three positions, each weighted with its probability."""
    torch.manual_seed(0)
    scores = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    log_likelihood = torch.randn(2, 3, 3, dtype=torch.float64)  # of a token, by both choices
    mask = torch.ones(1, 2, dtype=torch.bool)
    log_probs = scores.log_softmax(-1)
    options = config.Reinforce(weight=1.0, entropy_weight=0.0)
    expected_reward = torch.zeros((), dtype=torch.float64)
    surrogate = torch.zeros((), dtype=torch.float64)
    for first, second in itertools.product(range(3), repeat=2):
        # The first token depends on the first choice alone, the second on both.
        likelihood = torch.stack([log_likelihood[0, first, 0], log_likelihood[1, first, second]])
        chosen = torch.stack([log_probs[0, first], log_probs[1, second]])[None]
        probability = chosen.sum().exp()
        expected_reward = expected_reward + probability * likelihood.sum()
        samples = Samples(chosen, torch.zeros_like(chosen))
        baseline = torch.tensor(0.7, dtype=torch.float64)
        surrogate = surrogate + probability.detach() * reinforce(
            samples, -likelihood[None], mask, baseline, options
        )
    (exact,) = torch.autograd.grad(-expected_reward, scores, retain_graph=True)
    (found,) = torch.autograd.grad(surrogate, scores)
    torch.testing.assert_close(found, exact)


def test_padding_gains_nothing():
    samples = Samples(torch.randn(2, 4), torch.rand(2, 4))
    nll, mask = torch.rand(2, 4), torch.tensor([[True] * 4, [True, True, False, False]])
    options, baseline = config.Reinforce(), torch.tensor(-1.0)
    loss = reinforce(samples, nll, mask, baseline, options)
    other = torch.where(mask, nll, 9.0)
    torch.testing.assert_close(reinforce(samples, other, mask, baseline, options), loss)
    shorter = Samples(samples.log_probability[1:, :2], samples.entropy[1:, :2])
    first = Samples(samples.log_probability[:1], samples.entropy[:1])
    parts = reinforce(first, nll[:1], mask[:1], baseline, options) + reinforce(
        shorter, nll[1:, :2], mask[1:, :2], baseline, options
    )
    torch.testing.assert_close(loss, parts)


def test_entropy_is_rewarded():
    samples = Samples(torch.zeros(1, 2), torch.tensor([[0.5, 1.0]]))
    mask = torch.ones(1, 2, dtype=torch.bool)
    options = config.Reinforce(entropy_weight=0.1)
    loss = reinforce(samples, torch.zeros(1, 2), mask, torch.tensor(0.0), options)
    assert loss.item() == pytest.approx(-0.15)


def test_baseline_starts_at_the_first_mean_and_follows():
    mask = torch.tensor([[True, True], [True, False]])
    baseline = next_baseline(torch.tensor(torch.nan), torch.full((2, 2), 3.0), mask, 0.9)
    assert baseline.item() == pytest.approx(-3.0)
    baseline = next_baseline(baseline, torch.full((2, 2), 1.0), mask, 0.75)
    assert baseline.item() == pytest.approx(-2.5)
