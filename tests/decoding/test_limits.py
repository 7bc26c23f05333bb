"""Maximum lengths."""

import torch

from kochi.decoding.limits import length_limits


def test_a_limit_comes_from_the_sentence_alone():
    mask = torch.arange(13) < torch.tensor([[3], [13], [7]])
    limits = length_limits(mask, ratio=1.5, extra=10)
    assert limits.tolist() == [14, 29, 20]
    assert torch.equal(length_limits(mask[:1, :3], ratio=1.5, extra=10), limits[:1])


def test_twice_the_source_and_twenty_are_the_default():
    mask = torch.arange(5) < torch.tensor([[3], [5]])
    assert length_limits(mask).tolist() == [26, 30]
