import math

import pytest
import torch

from kochi.attention import build_multihead
from kochi.attention.relative.rotary import rotate


def test_equals_the_formula_as_a_loop() -> None:
    vectors = torch.randn(2, 3, 5, 8, dtype=torch.float64)
    positions = torch.tensor([[0, 1, 2, 3, 4], [7, 7, 1, 30, 2]])
    found = rotate(vectors, positions)
    for b in range(2):
        for index, position in enumerate(positions[b].tolist()):
            for i in range(4):
                angle = position * 10000.0 ** (-2 * i / 8)
                first, second = vectors[b, :, index, i], vectors[b, :, index, i + 4]
                expected = first * math.cos(angle) - second * math.sin(angle)
                torch.testing.assert_close(found[b, :, index, i], expected, rtol=0, atol=1e-12)
                expected = second * math.cos(angle) + first * math.sin(angle)
                torch.testing.assert_close(found[b, :, index, i + 4], expected, rtol=0, atol=1e-12)


def test_only_the_distance_matters() -> None:
    query, key = torch.randn(1, 1, 1, 6).double(), torch.randn(1, 1, 1, 6).double()
    near = rotate(query, torch.tensor([5])) @ rotate(key, torch.tensor([2])).mT
    far = rotate(query, torch.tensor([25])) @ rotate(key, torch.tensor([22])).mT
    other = rotate(query, torch.tensor([25])) @ rotate(key, torch.tensor([20])).mT
    torch.testing.assert_close(near, far, rtol=0, atol=1e-12)
    assert (near - other).abs().item() > 1e-3


def test_attention_moved_as_a_whole_is_the_same_attention() -> None:
    module = build_multihead("general", query_size=8, memory_size=8, num_heads=2, rotary=True)
    values, query = torch.randn(2, 5, 8), torch.randn(2, 3, 8)
    here = module(query, module.project(values))
    moved = module.project(values, positions=torch.arange(10, 15))
    there = module(query, moved, query_positions=torch.arange(10, 13))
    elsewhere = module(query, moved)
    torch.testing.assert_close(here.context, there.context, rtol=1e-4, atol=1e-12)
    assert (here.context - elsewhere.context).abs().max() > 1e-3


def test_what_cannot_combine_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rotary: .* the score Additive is not; use 'dot'"):
        build_multihead("additive", query_size=8, memory_size=8, num_heads=2, rotary=True)
    with pytest.raises(ValueError, match=r"rotary: the head size must be even, got 3"):
        build_multihead("dot", query_size=6, memory_size=6, num_heads=2, rotary=True)
