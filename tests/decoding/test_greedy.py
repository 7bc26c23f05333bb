"""Greedy search."""

import pytest
import torch

from kochi.decoding.greedy import greedy
from kochi.special_tokens import EOS

A, B = 4, 5


def one_by_one(toys, decoder, memory, limit):
    """Follow the largest logit of one sentence, one token at a time."""
    state = decoder.start(memory)
    last, tokens = 2, []
    while len(tokens) < limit:
        logits, state = decoder.step(state, torch.tensor([[last]]))
        allowed = logits[0, 0].clone()
        allowed[[0, 1, 2]] = -torch.inf
        last = int(allowed.argmax())
        if last == EOS:
            return tokens, True
        tokens.append(last)
    return tokens, False


@pytest.mark.parametrize("seed", range(4))
def test_greedy_follows_the_largest_logit(toys, seed):
    decoder = toys.Decoder(9, seed=seed)
    memory = toys.some_memory(10, seed=seed)
    limits = torch.tensor([5, 1, 8, 8, 3, 8, 12, 12, 2, 30])
    for row, (answer,) in enumerate(greedy(decoder, memory, max_length=limits)):
        alone = memory.rows(torch.tensor([row]))
        tokens, finished = one_by_one(toys, decoder, alone, int(limits[row]))
        assert (answer.tokens, answer.finished) == (tokens, finished)
        total = toys.log_probability(decoder, alone, tokens + [EOS] * finished)
        assert answer.log_probability == pytest.approx(total, abs=1e-5)
        assert answer.score == pytest.approx(total / (len(tokens) + finished), abs=1e-5)


def test_the_answer_does_not_depend_on_what_shares_the_batch(toys):
    decoder = toys.Decoder(13, seed=3)
    memory = toys.some_memory(17)
    limits = torch.arange(17) % 9 + 1
    together = greedy(decoder, memory, max_length=limits)
    assert decoder.calls["keep"] > 0
    assert decoder.calls["reorder"] == 0
    for row in range(17):
        index = torch.tensor([row])
        assert greedy(decoder, memory.rows(index), max_length=limits[index]) == [together[row]]


def test_equals_fall_to_the_lowest_token(toys):
    decoder = toys.Table(7, [{2: {B: 0.4, A: 0.4, EOS: 0.2}}, {A: {EOS: 1.0}}])
    assert greedy(decoder, toys.some_memory(1), max_length=4)[0][0].tokens == [A]


def test_min_length(toys):
    decoder = toys.Table(7, [{last: {EOS: 0.9, A: 0.1} for last in (2, A)}])
    answer = greedy(decoder, toys.some_memory(1), max_length=9, min_length=2)[0][0]
    assert (answer.tokens, answer.finished) == ([A, A], True)


def test_where_nothing_can_follow_the_answer_stays_unfinished(toys):
    decoder = toys.Table(7, [{2: {A: 0.5, B: 0.5}}, {A: {}}])
    answer = greedy(decoder, toys.some_memory(1), max_length=4)[0][0]
    assert (answer.tokens, answer.finished) == ([A], False)
    assert answer.log_probability == pytest.approx(torch.tensor(0.5).log().item())


def test_an_empty_batch(toys):
    assert greedy(toys.Decoder(9), toys.some_memory(0), max_length=3) == []
