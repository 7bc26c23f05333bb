import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kochi import config
from kochi.data.batches import (
    Batch,
    EvaluationBatches,
    TokenBatches,
    batch_pairs,
    batch_sources,
)
from kochi.data.corpus import Corpus
from kochi.errors import UserError
from kochi.modalities.features.reader import FeatureReader
from kochi.special_tokens import EOS


class Lengths(Corpus):
    """A corpus in memory with rows of given lengths; row r's tokens are all r + 4."""

    def __init__(self, lengths: list[tuple[int, int]]):
        self._lengths = list(np.array(lengths, np.int32).reshape(-1, 2).T)

    def __len__(self) -> int:
        return len(self._lengths[0])

    def gather(self, side, rows):
        return np.repeat(rows.astype(np.int64) + 4, self._lengths[side][rows])


def drawn(count: int = 997) -> Lengths:
    generator = np.random.default_rng(5)
    source = generator.integers(1, 31, count)
    target = np.maximum(1, source + generator.integers(-3, 4, count))
    return Lengths(list(zip(source.tolist(), target.tolist(), strict=True)))


def rows_of(batch: Batch) -> list[int]:
    """Tell which rows of `Lengths` count in a batch (every target has a token)."""
    counted = batch.outputs[batch.output_mask.any(1), 0]
    return (counted - 4).tolist()


def same(one: Batch, other: Batch) -> bool:
    return all(
        torch.equal(a, b) if torch.is_tensor(a) else a == b
        for a, b in zip(vars(one).values(), vars(other).values(), strict=True)
    )


# ------------------------------------------------------------------------------------- padding


def test_pairs_by_hand():
    batch = batch_pairs([[7, 8], [9], []], [[5], [6, 7, 8], []])
    assert batch.source.tolist() == [[7, 8, 3], [9, 3, 0], [3, 0, 0]]
    assert batch.source_mask.tolist() == [[True] * 3, [True, True, False], [True, False, False]]
    assert batch.inputs.tolist() == [[2, 5, 0, 0], [2, 6, 7, 8], [2, 0, 0, 0]]
    assert batch.outputs.tolist() == [[5, 3, 0, 0], [6, 7, 8, 3], [3, 0, 0, 0]]
    assert batch.output_mask.sum(1).tolist() == [2, 4, 1]
    assert batch.num_tokens == batch.global_num_tokens == 7
    with pytest.raises(ValueError, match="targets: found 1, expected 2"):
        batch_pairs([[4], [5]], [[6]])


def test_inputs_are_outputs_one_step_later():
    for batch in TokenBatches(drawn(), 512, seed=1):
        later = batch.inputs[:, 1:][batch.output_mask[:, 1:]]
        assert torch.equal(later, batch.outputs[:, :-1][batch.output_mask[:, 1:]])
        assert torch.equal(batch.source_mask, batch.source != 0)
        assert torch.equal(batch.output_mask, batch.outputs != 0)
        assert ((batch.outputs == EOS).sum(1) == 1).all()


def test_sources_are_padded_as_in_pairs():
    sources = [[7, 8], [9]]
    batch = batch_pairs(sources, [[4], [5]])
    tokens, mask = batch_sources(sources)
    assert torch.equal(tokens, batch.source) and torch.equal(mask, batch.source_mask)
    assert batch_sources([])[0].shape == (0, 1)


def test_batch_moves_to_a_device():
    batch = batch_pairs([[7]], [[8]]).to("meta")
    assert {t.device.type for t in vars(batch).values() if torch.is_tensor(t)} == {"meta"}
    assert batch.num_tokens == 2


# ------------------------------------------------------------------------------- an epoch's order


@pytest.mark.parametrize("shuffle", [True, False])
def test_every_row_once_within_the_bound(shuffle):
    corpus = drawn()
    batches = TokenBatches(corpus, 300, seed=3, shuffle=shuffle)
    seen = list(batches)
    assert len(seen) == len(batches)
    assert sorted(itertools.chain.from_iterable(map(rows_of, seen))) == list(range(len(corpus)))
    for batch in seen:
        width = max(batch.source.shape[1], batch.outputs.shape[1])
        assert len(batch.source) * width <= 300
        assert batch.num_tokens == batch.global_num_tokens == int(batch.output_mask.sum())


@settings(deadline=None, max_examples=50)
@given(
    lengths=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), min_size=1, max_size=60),
    batch_tokens=st.integers(1, 200),
    epoch=st.integers(0, 3),
)
def test_any_lengths(lengths, batch_tokens, epoch):
    batches = TokenBatches(Lengths(lengths), batch_tokens, seed=1)
    batches.set_epoch(epoch)
    seen = list(batches)
    assert sorted(itertools.chain.from_iterable(map(rows_of, seen))) == list(range(len(lengths)))
    for batch in seen:
        width = max(batch.source.shape[1], batch.outputs.shape[1])
        assert len(batch.source) * width <= batch_tokens or len(batch.source) == 1


def test_batches_are_as_full_as_they_can_be():
    batches = TokenBatches(Lengths([(4, 3)] * 10), 20, seed=1)
    assert sorted(len(batch.source) for batch in batches) == [2, 4, 4]


def test_a_row_longer_than_the_bound_is_alone():
    batches = TokenBatches(Lengths([(1, 1), (99, 1), (1, 1), (2, 50)]), 10, seed=1)
    assert sorted(sorted(rows_of(batch)) for batch in batches) == [[0, 2], [1], [3]]


def test_little_padding():
    batches = list(TokenBatches(drawn(), 600, seed=1))
    positions = sum(batch.source.numel() + batch.outputs.numel() for batch in batches)
    tokens = sum(int(batch.source_mask.sum()) + batch.num_tokens for batch in batches)
    assert tokens > 0.85 * positions


def test_very_long_rows_are_sorted_too():
    lengths = [(70_000, 1), (1, 1), (70_001, 1), (2, 1)]
    batches = TokenBatches(Lengths(lengths), 140_004, seed=1)
    assert sorted(sorted(rows_of(batch)) for batch in batches) == [[0, 2], [1, 3]]


def test_order_is_a_function_of_seed_and_epoch():
    def order(seed: int, epoch: int) -> list[list[int]]:
        batches = TokenBatches(drawn(), 300, seed)
        batches.set_epoch(epoch)
        return [rows_of(batch) for batch in batches]

    assert order(1, 4) == order(1, 4)
    assert order(1, 4) != order(1, 5)
    assert order(1, 4) != order(2, 4)
    as_sets = [{frozenset(rows) for rows in order(1, epoch)} for epoch in (4, 5)]
    assert as_sets[0] != as_sets[1]  # not the same batches in another order


def test_number_of_batches_does_not_change_and_epochs_follow():
    batches = TokenBatches(drawn(), 300, seed=1)
    lengths = [Counter(batch.outputs.shape for batch in batches) for _ in range(3)]
    assert lengths[0] == lengths[1] == lengths[2]
    assert batches.epoch == 2


def test_unshuffled_is_sorted_in_every_epoch():
    batches = TokenBatches(drawn(), 300, seed=1, shuffle=False)
    first, second = list(batches), list(batches)
    widths = [batch.outputs.shape[1] for batch in first]
    assert widths == sorted(widths)
    assert all(map(same, first, second))


# -------------------------------------------------------------------------------------- going on


@pytest.mark.parametrize("stop", [0, 1, 17, -1, None])
@pytest.mark.parametrize("shuffle", [True, False])
def test_going_on_in_the_middle_of_an_epoch(stop, shuffle):
    def fresh() -> TokenBatches:
        return TokenBatches(drawn(), 300, seed=1, shuffle=shuffle)

    whole = fresh()
    whole.set_epoch(2)
    batches = list(whole) + list(whole)  # epochs 2 and 3
    stopped = fresh()
    stopped.set_epoch(2)
    done = len(stopped) if stop is None else range(len(stopped))[stop]
    for _ in itertools.islice(stopped, done):
        pass
    state = stopped.state_dict()
    assert {"epoch": 2, "next_batch": done}.items() <= state.items()
    resumed = fresh()
    resumed.load_state_dict(state)
    resumed.set_epoch(2)  # as an engine does that announces each epoch
    rest = list(resumed) + ([] if done == len(stopped) else list(resumed))
    assert len(rest) == len(batches) - done
    assert all(map(same, rest, batches[done:]))


def test_state_of_another_run_is_refused():
    state = TokenBatches(drawn(), 300, seed=1).state_dict()
    for other in (
        TokenBatches(drawn(), 300, seed=2),
        TokenBatches(drawn(), 400, seed=1),
        TokenBatches(drawn(996), 300, seed=1),
    ):
        with pytest.raises(
            UserError, match=r"the checkpoint was written with \w+ = \d+, found \d+"
        ):
            other.load_state_dict(state)


# -------------------------------------------------------------------------------- several processes


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_each_batch(world):
    alone = list(TokenBatches(drawn(101), 90, seed=1))
    shares = [list(TokenBatches(drawn(101), 90, 1, rank, world)) for rank in range(world)]
    idle = 0
    for number, batch in enumerate(alone):
        parts = [share[number] for share in shares]
        rows = [rows_of(part) for part in parts]
        assert [rows_of(batch)[rank::world] for rank in range(world)] == rows
        assert sum(part.num_tokens for part in parts) == batch.num_tokens
        assert {part.global_num_tokens for part in parts} == {batch.num_tokens}
        for part in parts:
            assert len(part.source) and part.source_mask.any(1).all()
            idle += part.num_tokens == 0
            assert part.num_tokens == int(part.output_mask.sum())
    assert idle  # some batches here have fewer rows than processes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_tokens": 0}, "batch_tokens: 0, expected at least 1"),
        ({"rank": 2, "world": 2}, "rank: 2, expected 0 to world - 1 = 1"),
        ({"rank": 0, "world": 0}, "rank: 0"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        TokenBatches(drawn(3), **({"batch_tokens": 9, "seed": 1} | options))


# ------------------------------------------------------------------------------------- evaluation


def test_evaluation_batches_hold_every_pair_once_within_the_bound():
    generator = np.random.default_rng(3)
    sources = [[4] * n for n in generator.integers(0, 20, 57).tolist()]
    targets = [[row + 4] * n for row, n in enumerate(generator.integers(1, 20, 57).tolist())]
    batches = EvaluationBatches(sources, targets, batch_tokens=100)
    seen = []
    for rows, batch in batches:
        assert len(rows) * max(batch.source.shape[1], batch.outputs.shape[1]) <= 100
        assert (batch.outputs[:, 0] - 4).tolist() == rows
        seen.append(rows)
    assert sorted(itertools.chain.from_iterable(seen)) == list(range(57))
    assert len(seen) == len(batches) < 57


def test_evaluation_mistakes():
    with pytest.raises(ValueError, match="targets: found 0, expected 1"):
        EvaluationBatches([[4]], [])
    with pytest.raises(ValueError, match="batch_tokens: 0"):
        EvaluationBatches([[4]], [[4]], batch_tokens=0)


# --------------------------------------------------------------------------------------- frames


class Heard(Lengths):
    """Like `Lengths`, but the sources are frames of two numbers, both r + 4."""

    def gather(self, side, rows) -> Any:
        numbers = super().gather(side, rows)
        return numbers if side else np.stack([numbers] * 2, axis=1).astype(np.float32)


READER = FeatureReader(size=2, hop=0.01, first=0.0, normalisation="none")
MASKED = READER.for_training(
    config.Training(augmentation=config.Augmentation(time_share=1.0, bin_width=1))
)


def heard(count: int = 211) -> Heard:
    lengths = [(20 + (37 * row) % 83, 1 + (11 * row) % 7) for row in range(count)]
    return Heard(lengths)


def test_frames_are_batched_by_their_number_and_each_row_comes_once():
    corpus = heard()
    batches = TokenBatches(corpus, 500, seed=1, reader=READER)
    rows, padding = [], 0
    for batch in batches:
        assert batch.source.numel() / 2 <= 500 or len(batch.source) == 1
        found = rows_of(batch)
        rows += found
        assert batch.source_mask.sum(1).tolist() == corpus.source_lengths[found].tolist()
        for row, frames, mask in zip(found, batch.source, batch.source_mask, strict=True):
            assert (frames[mask] == row + 4).all()
            assert (frames[~mask] == 0).all()
        padding += int((~batch.source_mask).sum())
    assert sorted(rows) == list(range(len(corpus)))
    assert padding < 0.03 * corpus.source_lengths.sum()


def test_what_is_drawn_depends_on_seed_epoch_and_batch_alone():
    def epoch(seed: int, number: int) -> list[Batch]:
        batches = TokenBatches(heard(), 500, seed=seed, reader=MASKED)
        batches.set_epoch(number)
        return list(batches)

    first = epoch(1, 0)
    assert all(map(same, first, epoch(1, 0)))
    assert any((batch.source == 0)[batch.source_mask].any() for batch in first)
    batches = TokenBatches(heard(), 500, seed=1, reader=MASKED)
    iterator = iter(batches)
    for _ in range(5):
        next(iterator)
    state = batches.state_dict()
    resumed = TokenBatches(heard(), 500, seed=1, reader=MASKED)
    resumed.load_state_dict(state)
    rest = list(resumed)
    assert len(rest) == len(first) - 5
    assert all(map(same, first[5:], rest))
    sums = [sum(float(batch.source.sum()) for batch in epoch(*which)) for which in ((1, 1), (2, 0))]
    assert len({*sums, sum(float(batch.source.sum()) for batch in first)}) == 3


def test_evaluation_draws_nothing_and_sorts_by_frames():
    sources = [np.full((length, 2), 5, np.float32) for length in (3, 9, 4, 9)]
    batches = EvaluationBatches(sources, [[7], [7, 8], [9], [7]], 18, MASKED)
    found = list(batches)
    assert [rows for rows, _ in found] == [[1, 3], [2, 0]]
    for rows, batch in found:
        assert batch.source_mask.sum(1).tolist() == [len(sources[row]) for row in rows]
        assert (batch.source[batch.source_mask] == 5).all()
