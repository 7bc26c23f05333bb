"""Scores of given targets."""

import pytest
import torch

from kochi.decoding.beam import beam_search
from kochi.decoding.forced import score_targets


def test_scores_are_sums_of_the_steps(toys):
    decoder = toys.Decoder(11, seed=2)
    memory = toys.some_memory(3)
    targets = [[4, 5, 6], [], [10]]
    for end in (True, False):
        found = score_targets(decoder, memory, targets, end=end)
        for row, target in enumerate(targets):
            alone = memory.rows(torch.tensor([row]))
            expected = toys.log_probability(decoder, alone, target + [3] * end)
            assert found[row].item() == pytest.approx(expected, abs=1e-5)


def test_hypotheses_score_what_search_says(toys):
    decoder = toys.Decoder(11, seed=2)
    memory = toys.some_memory(6)
    best = [answers[0] for answers in beam_search(decoder, memory, max_length=12, beam=3)]
    scores = score_targets(decoder, memory, [answer.tokens for answer in best])
    open_scores = score_targets(decoder, memory, [answer.tokens for answer in best], end=False)
    assert {answer.finished for answer in best} == {True, False}
    for answer, score, open_score in zip(best, scores, open_scores, strict=True):
        expected = score if answer.finished else open_score
        assert answer.log_probability == pytest.approx(expected.item(), abs=1e-5)


def test_nothing_to_score(toys):
    found = score_targets(toys.Decoder(5), toys.some_memory(2), [[], []], end=False)
    assert found.tolist() == [0.0, 0.0]


def test_one_target_a_sentence(toys):
    with pytest.raises(ValueError, match="targets: expected 2, one per sentence, got 1"):
        score_targets(toys.Decoder(5), toys.some_memory(2), [[4]])
