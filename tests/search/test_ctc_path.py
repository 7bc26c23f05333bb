"""The best path of CTC, against all paths."""

import itertools

import numpy as np
import pytest
import torch

from kochi.search.ctc_path import ctc_path


def spelt(path):
    """Return what a path spells, by the paper's rule: join equal neighbours, drop blanks."""
    return [label for label, _ in itertools.groupby(path) if label]


@pytest.mark.parametrize("tokens", [[1], [1, 2], [2, 2], [1, 2, 1], [2, 2, 2]])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_best_of_all_that_spell_the_tokens(tokens, seed):
    chance = torch.Generator().manual_seed(seed)
    log_probs = torch.randn(6, 3, generator=chance, dtype=torch.float64).mul(2).log_softmax(-1)
    paths = [p for p in itertools.product(range(3), repeat=6) if spelt(p) == tokens]
    sums = [sum(log_probs[i, label].item() for i, label in enumerate(p)) for p in paths]
    best = paths[int(np.argmax(sums))]
    runs, place = [], 0
    for label, group in itertools.groupby(best):
        length = len(list(group))
        if label:
            runs.append([place, place + length - 1])
        place += length
    found = ctc_path(log_probs, tokens)
    assert found is not None
    assert found.tolist() == runs


def test_equal_neighbours_need_a_blank_between_them():
    log_probs = torch.full((3, 2), 0.5).log()
    assert ctc_path(log_probs[:2], [1, 1]) is None
    found = ctc_path(log_probs, [1, 1])
    assert found is not None
    assert found.tolist() == [[0, 0], [2, 2]]


def test_more_tokens_than_places_have_no_path():
    log_probs = torch.full((2, 4), 0.25).log()
    assert ctc_path(log_probs, [1, 2, 3]) is None
    assert ctc_path(log_probs[:0], [1]) is None


def test_no_tokens():
    found = ctc_path(torch.zeros(3, 2), [])
    assert found is not None
    assert found.shape == (0, 2)
