"""Exact best candidates: against a full stable sort."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kochi.decoding.candidates import (
    CHUNK,
    best_candidates,
    forbid_marks,
    log_probabilities_,
    top,
)


def by_sorting(log_probs, live, count):
    """All sums in order of value, then beam, then token."""
    vocabulary = log_probs.shape[-1]
    sums = (live.unsqueeze(-1) + log_probs).flatten(1)
    values, positions = torch.sort(sums, dim=-1, descending=True, stable=True)
    return values[:, :count], positions[:, :count] // vocabulary, positions[:, :count] % vocabulary


@pytest.mark.parametrize("vocabulary", [5, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 331])
@pytest.mark.parametrize("count", [1, 3, 5])
def test_best_candidates_are_those_of_a_full_sort(vocabulary, count):
    generator = torch.Generator().manual_seed(vocabulary)
    log_probs = torch.randn(7, 3, vocabulary, generator=generator)
    live = torch.randn(7, 3, generator=generator)
    found = best_candidates(log_probs, live, count)
    for mine, expected in zip(found, by_sorting(log_probs, live, count), strict=True):
        assert torch.equal(mine, expected)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_ties_fall_to_the_lowest_beam_then_the_lowest_token(data):
    width = data.draw(st.integers(1, 3))
    vocabulary = data.draw(st.sampled_from([5, CHUNK, 2 * CHUNK + 3]))
    few = torch.tensor([-2.0, -1.0, -0.5, -0.0, 0.0, -torch.inf])
    seed = data.draw(st.integers(0, 10**6))
    generator = torch.Generator().manual_seed(seed)
    pick = torch.randint(0, len(few), (2, width, vocabulary), generator=generator)
    live = few[torch.randint(0, 3, (2, width), generator=generator)]
    count = data.draw(st.integers(1, 4))
    values, beams, tokens = best_candidates(few[pick], live, count)
    expected = by_sorting(few[pick], live, count)
    assert torch.equal(values, expected[0])
    alive = values > -torch.inf
    assert torch.equal(beams[alive], expected[1][alive])
    assert torch.equal(tokens[alive], expected[2][alive])


def test_more_candidates_than_there_are_come_as_minus_infinity():
    values, beams, tokens = best_candidates(torch.zeros(1, 1, 3), torch.zeros(1, 1), 100)
    assert values.tolist() == [[0.0] * 3 + [-torch.inf] * 97]
    assert tokens[0, :3].tolist() == [0, 1, 2]
    assert beams.unique().tolist() == [0]
    assert tokens.max() < 3


def test_a_dead_beam_is_never_chosen_before_a_live_one():
    log_probs = torch.tensor([[[0.0, 0.0], [-50.0, -60.0]]])
    live = torch.tensor([[-torch.inf, -1.0]])
    _, beams, tokens = best_candidates(log_probs, live, 2)
    assert beams.tolist() == [[1, 1]]
    assert tokens.tolist() == [[0, 1]]


def test_top_orders_infinities_zeros_and_negatives():
    values = torch.tensor([[-torch.inf, -0.0, 0.0, 2.0, -1e-30, torch.inf, -3.0, 1e-38]])
    _, positions = top(values, 8)
    assert positions.tolist() == [[5, 3, 7, 1, 2, 4, 6, 0]]


def test_log_probabilities_are_the_log_softmax():
    logits = torch.tensor([[[1.0, 3.0]]]).log()
    assert log_probabilities_(logits).exp().flatten().tolist() == pytest.approx([0.25, 0.75])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_log_probabilities_are_float32_and_the_logits_stay(dtype):
    logits = torch.tensor([[[1.0, 3.0, -torch.inf]]], dtype=dtype)
    before = logits.clone()
    log_probs = log_probabilities_(logits)
    log_probs.fill_(7.0)
    assert log_probs.dtype == torch.float32
    assert torch.equal(logits, before)


@pytest.mark.parametrize("vocabulary", [1, 7, 16, 100, 8000])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5)])
def test_log_probabilities_are_written_over_their_logits(shape, vocabulary):
    logits = 5.0 * torch.randn(*shape, vocabulary)
    expected = logits.double().log_softmax(-1).float()
    log_probs = log_probabilities_(logits)
    torch.testing.assert_close(log_probs, expected)
    assert log_probs.data_ptr() == logits.data_ptr()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_row_of_minus_infinity_stays_so(dtype):
    nothing = [-torch.inf, -torch.inf, -torch.inf]
    logits = torch.tensor([[[0.0, 0.0, -torch.inf], nothing, [*nothing[:2], 4.0]]], dtype=dtype)
    log_probs = log_probabilities_(logits)
    assert log_probs[0, 1].tolist() == nothing
    assert log_probs[0, 0].exp().tolist() == pytest.approx([0.5, 0.5, 0.0])
    assert log_probs[0, 2].tolist() == [-torch.inf, -torch.inf, 0.0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_broken_logits_are_refused(bad):
    for row in ([0.0, bad], [-torch.inf, bad], [bad, -torch.inf]):
        with pytest.raises(
            ValueError, match=r"^the decoder's step gave logits that are NaN or \+inf"
        ):
            log_probabilities_(torch.tensor([[[0.0, 1.0], row]]))


def test_logits_that_need_a_gradient_stay():
    logits = torch.randn(1, 2, 5, requires_grad=True)
    expected = logits.log_softmax(-1)
    torch.testing.assert_close(log_probabilities_(logits), expected)


def test_forbid_marks():
    log_probs = torch.zeros(1, 1, 6)
    forbid_marks(log_probs, end=False)
    assert (log_probs == -torch.inf).flatten().tolist() == [True, True, True, False, False, False]
    forbid_marks(log_probs, end=True)
    assert (log_probs == -torch.inf).flatten().tolist() == [True, True, True, True, False, False]
    log_probs = torch.zeros(1, 1, 6)
    forbid_marks(log_probs, end=True, unknown=True)
    assert (log_probs == -torch.inf).flatten().tolist() == [True, False, True, True, False, False]
