"""Sampling."""

import pytest
import torch

from kochi.decoding.greedy import greedy
from kochi.decoding.sampling import invert, sample, sentence_seeds

A, B, C, EOS = 4, 5, 6, 3


def generator(seed):
    return torch.Generator().manual_seed(seed)


def first_tokens(answers):
    return [answer.tokens[0] if answer.tokens else EOS for row in answers for answer in row]


def test_draws_follow_the_model(toys):
    """20,000 draws: the share of a token of probability p is off by 0.02 once in 10 ** 8."""
    decoder = toys.Table(7, [{2: {A: 0.5, B: 0.3, EOS: 0.2}}])
    drawn = first_tokens(
        sample(decoder, toys.some_memory(20), max_length=1, n=1000, generator=generator(1))
    )
    for token, share in [(A, 0.5), (B, 0.3), (EOS, 0.2)]:
        assert drawn.count(token) / len(drawn) == pytest.approx(share, abs=0.02)


def test_temperature_sharpens(toys):
    """At temperature 0.5 probabilities are squared: 0.25, 0.09, 0.04 over 0.38."""
    decoder = toys.Table(7, [{2: {A: 0.5, B: 0.3, EOS: 0.2}}])
    memory = toys.some_memory(20)
    drawn = first_tokens(
        sample(decoder, memory, max_length=1, n=1000, temperature=0.5, generator=generator(1))
    )
    assert drawn.count(A) / len(drawn) == pytest.approx(0.25 / 0.38, abs=0.02)


def test_top_k_draws_among_the_likeliest(toys):
    decoder = toys.Table(7, [{2: {A: 0.5, B: 0.3, C: 0.1, EOS: 0.1}}])
    memory = toys.some_memory(20)
    drawn = first_tokens(
        sample(decoder, memory, max_length=1, n=1000, top_k=2, generator=generator(1))
    )
    assert set(drawn) == {A, B}
    assert drawn.count(A) / len(drawn) == pytest.approx(0.5 / 0.8, abs=0.02)


def test_top_1_is_greedy(toys):
    decoder = toys.Decoder(11, seed=5)
    memory = toys.some_memory(6)
    drawn = sample(decoder, memory, max_length=9, top_k=1, n=2)
    assert drawn == [answers * 2 for answers in greedy(decoder, memory, max_length=9)]


@pytest.mark.parametrize("top_k", [None, 3])
def test_a_draw_does_not_depend_on_what_shares_the_batch(toys, top_k):
    decoder = toys.Decoder(13, seed=3)
    memory = toys.some_memory(11)
    limits = torch.arange(11) % 7 + 3
    seeds = sentence_seeds(generator(7), 11)
    together = sample(decoder, memory, max_length=limits, seeds=seeds, n=3, top_k=top_k)
    assert decoder.calls["keep"] > 0
    for row in range(11):
        index = torch.tensor([row])
        alone = sample(
            decoder, memory.rows(index), max_length=limits[index], seeds=seeds[index], top_k=top_k
        )
        assert alone[0] == together[row][:1]


def test_same_seed_same_draws_another_seed_others(toys):
    decoder = toys.Decoder(13, seed=3)
    memory = toys.some_memory(4)
    first, again, other = (
        sample(decoder, memory, max_length=20, n=3, generator=generator(seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert len({tuple(answer.tokens) for answer in first[0]}) > 1


def test_seeds_at_once_are_seeds_one_by_one():
    one_by_one = generator(3)
    singles = [int(sentence_seeds(one_by_one, 1)) for _ in range(40)]
    assert sentence_seeds(generator(3), 40).tolist() == singles
    assert len(set(singles)) == 40


def test_log_probabilities_are_the_models(toys):
    decoder = toys.Decoder(11, seed=5)
    memory = toys.some_memory(1)
    for answer in sample(decoder, memory, max_length=9, temperature=0.3, top_k=4, n=5)[0]:
        tokens = answer.tokens + [EOS] * answer.finished
        total = toys.log_probability(decoder, memory, tokens)
        assert answer.log_probability == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("unknown", "expected"), [(False, {4, 5}), (True, {1, 4, 5})])
def test_special_tokens_are_never_drawn(toys, seed, unknown, expected):
    decoder = toys.Decoder(6, seed=seed)
    options = {"max_length": 9, "temperature": 9.0, "n": 50, "min_length": 9}
    drawn = sample(decoder, toys.some_memory(3), **options, unknown=unknown)
    tokens = {token for row in drawn for answer in row for token in answer.tokens}
    assert tokens == expected
    assert all(len(answer.tokens) == 9 for row in drawn for answer in row)


def test_a_cold_temperature_does_not_overflow(toys):
    decoder = toys.Table(7, [{2: {A: 0.5, B: 0.3, EOS: 0.2}}])
    drawn = sample(decoder, toys.some_memory(2), max_length=1, temperature=1e-30, n=5)
    assert set(first_tokens(drawn)) == {A}


def test_where_nothing_can_follow_the_answer_stays_unfinished(toys):
    decoder = toys.Table(7, [{2: {A: 1.0}}, {A: {}}])
    answers = sample(decoder, toys.some_memory(1), max_length=4, n=2)[0]
    assert [(answer.tokens, answer.finished) for answer in answers] == [([A], False)] * 2


def test_invert_skips_what_has_no_weight():
    weights = torch.tensor([[[0.0, 0.5, 0.0, 0.5, 0.0]]], dtype=torch.float64).log()
    where = torch.tensor([[0.0]], dtype=torch.float64)
    assert invert(weights, where).tolist() == [[1]]
    assert invert(weights, where + 0.5).tolist() == [[3]]
    assert invert(weights, where + 1.0).tolist() == [[3]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature must be finite and greater than 0"),
        ({"temperature": float("nan")}, "temperature must be finite"),
        ({"top_k": 0}, "top_k must be at least 1"),
        ({"n": 0}, "n must be at least 1"),
        (
            {"generator": torch.Generator(), "seeds": torch.tensor([1, 2, 3])},
            "generator or seeds, not both",
        ),
        ({"seeds": torch.tensor([1, 2])}, "seeds: expected 3"),
    ],
)
def test_options_out_of_range(toys, options, message):
    with pytest.raises(ValueError, match=message):
        sample(toys.Decoder(9), toys.some_memory(3), max_length=4, **options)
