"""Beam search: against all answers of small decoders, and by hand."""

import pytest
import torch

from kochi.decoding.beam import beam_search, trace
from kochi.decoding.hypothesis import Hypothesis
from kochi.special_tokens import EOS

A, B, C = 4, 5, 6


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 2.0])
def test_a_wide_enough_beam_is_exhaustive_search(toys, seed, length_penalty):
    vocabulary, max_length, n_best = 6, 4, 5
    unknown = seed % 2 == 0
    decoder = toys.Decoder(vocabulary, seed=seed)
    memory = toys.some_memory(2, seed=seed)
    found = beam_search(
        decoder,
        memory,
        max_length=max_length,
        beam=108,  # all continuations at the last step: 3 ** 3 beginnings, 4 tokens each
        length_penalty=length_penalty,
        n_best=n_best,
        unknown=unknown,
    )
    for row in range(2):
        alone = memory.rows(torch.tensor([row]))
        options = (vocabulary, max_length, length_penalty, unknown)
        best = toys.every_answer(decoder, alone, *options)[:n_best]
        assert [answer.tokens for answer in found[row]] == [tokens for _, tokens in best]
        scores = [answer.score for answer in found[row]]
        assert scores == pytest.approx([score for score, _ in best], abs=1e-5)
        assert all(answer.finished for answer in found[row])


@pytest.mark.parametrize("seed", range(4))
def test_exhaustive_with_its_own_limit_for_each_sentence(toys, seed):
    decoder = toys.Decoder(6, seed=seed)
    memory = toys.some_memory(3, seed=seed)
    limits = torch.tensor([4, 2, 3])
    found = beam_search(decoder, memory, max_length=limits, beam=108, length_penalty=1.5)
    for row, limit in enumerate(limits.tolist()):
        alone = memory.rows(torch.tensor([row]))
        score, tokens = toys.every_answer(decoder, alone, 6, limit, 1.5)[0]
        assert found[row][0].tokens == tokens
        assert found[row][0].score == pytest.approx(score, abs=1e-5)


def by_hand(toys):
    """Greedy goes to A (0.6); the likeliest answer is B (0.4 * 0.9)."""
    return toys.Table(
        7,
        [
            {2: {A: 0.6, B: 0.4}},
            {A: {EOS: 0.5, C: 0.5}, B: {EOS: 0.9, C: 0.1}},
            {A: {EOS: 1.0}, B: {EOS: 1.0}, C: {EOS: 1.0}},
        ],
    )


def test_by_hand(toys):
    memory = toys.some_memory(1)
    found = beam_search(by_hand(toys), memory, max_length=5, beam=2, n_best=2, length_penalty=0.0)
    assert [answer.tokens for answer in found[0]] == [[B], [A]]
    assert [answer.score for answer in found[0]] == pytest.approx(
        [torch.tensor(0.36).log().item(), torch.tensor(0.3).log().item()]
    )


def test_the_length_counts_the_end_mark(toys):
    answer = beam_search(by_hand(toys), toys.some_memory(1), max_length=5, beam=2)[0][0]
    assert answer.tokens == [A, C]  # log(0.3) / 3 against log(0.36) / 2
    assert answer.score == pytest.approx(answer.log_probability / 3)


def test_search_goes_on_while_something_longer_may_win(toys):
    """An early end of 0.6 loses to four tokens of 0.4 in all when lengths divide."""
    decoder = toys.Table(
        7, [{2: {EOS: 0.6, A: 0.4}}, {A: {A: 1.0}}, {A: {A: 1.0}}, {A: {EOS: 1.0}}]
    )
    memory = toys.some_memory(1)
    found = beam_search(decoder, memory, max_length=4, beam=2, length_penalty=1.0)
    assert found[0][0].tokens == [A, A, A]
    found = beam_search(decoder, memory, max_length=4, beam=2, length_penalty=0.0)
    assert found[0][0].tokens == []


def test_search_stops_when_nothing_can_win(toys):
    """log 0.1 / 100 cannot beat log 0.9 without a length penalty: one step is enough."""
    decoder = toys.Table(7, [{2: {EOS: 0.9, A: 0.1}}, {A: {A: 0.5, EOS: 0.5}}])
    beam_search(decoder, toys.some_memory(1), max_length=100, beam=2, length_penalty=0.0)
    assert decoder.calls["step"] == 1


def test_patience_stops_early(toys):
    """One end is enough for a third of a beam of three, though something longer would have won."""
    first = {last: {EOS: 0.3, A: 0.4, B: 0.3} for last in (2, A, B)}
    decoder = toys.Table(7, [first, first, {A: {EOS: 1.0}, B: {EOS: 1.0}}])
    memory = toys.some_memory(1)
    patient = beam_search(decoder, memory, max_length=9, beam=3)[0]
    steps = decoder.calls["step"]
    hasty = beam_search(decoder, memory, max_length=9, beam=3, patience=1 / 3)[0]
    assert (decoder.calls["step"] - steps, hasty[0].tokens) == (1, [])
    assert patient[0].tokens == [A, A]


def test_patience_is_times_the_beam_for_each_sentence(toys):
    """A second sentence does not make the first stop sooner: each counts its own ends."""
    steps = {last: {EOS: 0.3, A: 0.3, B: 0.2, C: 0.2} for last in (2, A, B, C)}
    for sentences in (1, 2):
        decoder = toys.Table(7, [steps])
        memory = toys.some_memory(sentences)
        beam_search(decoder, memory, max_length=30, beam=2, patience=1.0, length_penalty=9.0)
        assert decoder.calls["step"] == 2  # one ends in the first step, more in the second


def test_patience_waits_for_n_best(toys):
    decoder = toys.Table(7, [{last: {EOS: 0.3, A: 0.4, B: 0.3} for last in (2, A, B)}])
    memory = toys.some_memory(1)
    found = beam_search(decoder, memory, max_length=30, beam=4, n_best=4, patience=0.25)[0]
    assert [answer.finished for answer in found] == [True] * 4
    assert decoder.calls["step"] < 30


def test_an_end_below_the_beam_is_not_kept(toys):
    """The end mark at 0.2 is third: a beam of two does not see it, a beam of three does."""
    decoder = toys.Table(
        7, [{2: {A: 0.5, B: 0.3, EOS: 0.2}}, {A: {A: 0.9, EOS: 0.1}, B: {A: 0.9, EOS: 0.1}}]
    )
    memory = toys.some_memory(1)
    narrow = beam_search(decoder, memory, max_length=1, beam=2, n_best=1)[0]
    assert (narrow[0].tokens, narrow[0].finished) == ([A], False)
    wide = beam_search(decoder, memory, max_length=1, beam=3, n_best=1)[0]
    assert (wide[0].tokens, wide[0].finished) == ([], True)


def test_unfinished_answers_only_fill_up(toys):
    decoder = toys.Table(7, [{2: {A: 0.5, B: 0.3, EOS: 0.2}}])
    found = beam_search(decoder, toys.some_memory(1), max_length=1, beam=3, n_best=3)[0]
    assert [(answer.tokens, answer.finished) for answer in found] == [
        ([], True),
        ([A], False),
        ([B], False),
    ]
    assert found[1].score == pytest.approx(torch.tensor(0.5).log().item())
    found = beam_search(decoder, toys.some_memory(1), max_length=1, beam=3, n_best=2)[0]
    assert [(answer.tokens, answer.finished) for answer in found] == [([], True), ([A], False)]


def test_ties_fall_to_the_lowest_beam_and_token(toys):
    decoder = toys.Table(
        7,
        [
            {2: {A: 0.5, B: 0.5}},
            {A: {A: 0.5, B: 0.5}, B: {A: 0.5, B: 0.5}},
            {A: {EOS: 1.0}, B: {EOS: 1.0}},
        ],
    )
    found = beam_search(decoder, toys.some_memory(1), max_length=3, beam=3, n_best=3)[0]
    assert [answer.tokens for answer in found] == [[A, A], [A, B], [B, A]]


def test_an_ended_hypothesis_keeps_its_position_against_an_equal_later_one(toys):
    even = {EOS: 0.25, A: 0.25, B: 0.25, C: 0.25}
    decoder = toys.Table(7, [{2: even}, {A: {EOS: 1.0}, B: {EOS: 1.0}, C: {EOS: 1.0}}])
    memory = toys.some_memory(1)
    found = beam_search(decoder, memory, max_length=3, beam=4, n_best=3, length_penalty=0.0)[0]
    assert [answer.tokens for answer in found] == [[], [A], [B]]
    assert len({answer.score for answer in found}) == 1


def test_minus_infinity_everywhere_gives_an_empty_answer(toys):
    decoder = toys.Table(7, [{2: {A: 1.0}}, {A: {}}])
    decoder.table[1][A] = {}
    found = beam_search(decoder, toys.some_memory(2), max_length=5, beam=2)
    assert found == [[Hypothesis([], -torch.inf, -torch.inf, False)]] * 2


def test_min_length(toys):
    decoder = toys.Table(7, [{last: {EOS: 0.9, A: 0.1} for last in (2, A)}])
    found = beam_search(decoder, toys.some_memory(1), max_length=6, beam=2, min_length=3)
    assert found[0][0].tokens == [A, A, A]


def test_forced_length(toys):
    """Minimum = maximum takes exactly that many steps, as benchmarks want."""
    decoder = toys.Decoder(11)
    found = beam_search(decoder, toys.some_memory(3), max_length=6, beam=3, min_length=6)
    assert [len(answers[0].tokens) for answers in found] == [6, 6, 6]
    assert decoder.calls["step"] == 6


@pytest.mark.parametrize("seed", range(5))
def test_special_tokens_are_never_written(toys, seed):
    decoder = toys.Decoder(6, seed=seed)
    decoder.output[:, [0, 1, 2]] += 5.0 * decoder.output.sign()[:, [0, 1, 2]]

    def written(unknown):
        memory = toys.some_memory(5)
        found = beam_search(decoder, memory, max_length=7, beam=4, n_best=4, unknown=unknown)
        return {token for row in found for answer in row for token in answer.tokens}

    assert written(False) <= {4, 5}
    assert 1 in written(True) <= {1, 4, 5}


@pytest.mark.parametrize(("length_penalty", "patience"), [(0.0, None), (1.0, None), (1.0, 1.0)])
def test_the_answer_does_not_depend_on_what_shares_the_batch(toys, length_penalty, patience):
    decoder = toys.Decoder(13, seed=3, scale=3.0)
    memory = toys.some_memory(11)
    limits = torch.tensor([9, 1, 14, 6, 12, 3, 14, 8, 2, 14, 5])
    options = {"beam": 4, "n_best": 3, "length_penalty": length_penalty, "patience": patience}
    together = beam_search(decoder, memory, max_length=limits, **options)
    assert decoder.calls["keep"] > 0
    for row in range(11):
        index = torch.tensor([row])
        alone = beam_search(decoder, memory.rows(index), max_length=limits[index], **options)
        assert alone == [together[row]]
    order = torch.tensor([10, 3, 7, 0])
    some = beam_search(decoder, memory.rows(order), max_length=limits[order], **options)
    assert some == [together[row] for row in order.tolist()]


def test_padding_of_the_source_changes_nothing(toys):
    decoder = toys.Decoder(13, seed=4)
    memory = toys.some_memory(3)
    values = torch.cat([memory.values, torch.full((3, 2, 3), 9.0, dtype=torch.float64)], 1)
    mask = torch.cat([memory.mask, torch.zeros(3, 2, dtype=torch.bool)], 1)
    padded = beam_search(decoder, toys.memory_of(values, mask), max_length=8, beam=3)
    assert padded == beam_search(decoder, memory, max_length=8, beam=3)


def test_finished_sentences_leave_the_batch(toys):
    decoder = toys.Decoder(9, seed=1)
    limits = torch.tensor([2] * 7 + [12])
    beam_search(decoder, toys.some_memory(8), max_length=limits, beam=3, min_length=12)
    assert decoder.rows_seen == [8, 8] + [1] * 10


def test_no_reorder_while_every_beam_continues_itself(toys):
    sure = {last: {A: 0.6, B: 0.4} for last in (2,)}
    decoder = toys.Table(7, [sure, {A: {A: 1.0}, B: {A: 1.0}}, {A: {A: 1.0}}])
    beam_search(decoder, toys.some_memory(1), max_length=6, beam=2)
    assert decoder.calls["step"] == 6
    assert decoder.calls["reorder"] == 1  # from one beam to two


def test_log_probability_is_that_of_the_tokens(toys):
    decoder = toys.Decoder(17, seed=2)
    memory = toys.some_memory(2)
    for row, answers in enumerate(beam_search(decoder, memory, max_length=9, beam=4, n_best=4)):
        alone = memory.rows(torch.tensor([row]))
        for answer in answers:
            tokens = [*answer.tokens, EOS] if answer.finished else answer.tokens
            total = toys.log_probability(decoder, alone, tokens)
            assert answer.log_probability == pytest.approx(total, abs=1e-5)


def test_an_empty_batch(toys):
    assert beam_search(toys.Decoder(9), toys.some_memory(0), max_length=3) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 2, "n_best": 3}, "n_best must be from 1 to beam = 2, got 3"),
        ({"n_best": 0}, "n_best must be from 1"),
        ({"length_penalty": -1.0}, "length_penalty must be finite and at least 0"),
        ({"length_penalty": float("nan")}, "length_penalty"),
        ({"min_length": -1}, "min_length must be at least 0"),
        ({"patience": 0.0}, "patience must be greater than 0, got 0"),
        ({"max_length": 0}, "max_length must be at least 1, got 0"),
        ({"max_length": torch.tensor([3, 3])}, "max_length: expected 3 lengths"),
    ],
)
def test_options_out_of_range(toys, options, message):
    with pytest.raises(ValueError, match=message):
        beam_search(toys.Decoder(9), toys.some_memory(3), **{"max_length": 4, **options})


def test_trace_follows_parents():
    tokens = [[10, 11], [12, 13], [14, 15]]
    parents = [[0, 0], [1, 0], [0, 0]]
    assert trace(tokens, parents, beam=1, length=3) == [11, 12, 15]
    assert trace(tokens, parents, beam=1, length=2) == [10, 13]
    assert trace(tokens, parents, beam=0, length=0) == []
