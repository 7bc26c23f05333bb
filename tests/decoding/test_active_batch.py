"""The shrinking batch."""

import torch

from kochi.decoding.active_batch import ActiveBatch, Record


def done(*positions, size):
    return torch.isin(torch.arange(size), torch.tensor(positions))


def test_few_closed_sentences_are_carried_along():
    roster = ActiveBatch(torch.full((17,), 5))
    assert roster.close(done(3, 5, size=17)).tolist() == [3, 5]
    assert roster.shrink() is None
    assert roster.close(done(3, 9, size=17)).tolist() == [9]
    kept = roster.shrink()
    assert kept is not None
    assert kept.tolist() == [0, 1, 2, 4, 6, 7, 8, *range(10, 17)]
    assert roster.rows.tolist() == kept.tolist()
    assert not roster.empty


def test_numbers_are_those_of_the_first_batch():
    roster = ActiveBatch(torch.tensor([4, 5, 6]))
    roster.close(done(0, size=3))
    roster.shrink()
    assert roster.close(done(1, size=2)).tolist() == [1]
    assert roster.rows.tolist() == [1, 2]
    roster.shrink()
    assert (roster.rows.tolist(), roster.limits.tolist()) == ([1], [5])
    roster.close(done(0, size=1))
    assert roster.empty


def test_record_gives_back_each_sentence():
    record = Record()
    record.append(torch.tensor([[1], [2], [3]]), torch.tensor([[0.5], [0.25], [1.0]]))
    record.append(torch.tensor([[4], [5], [6]]), torch.tensor([[2.5], [2.25], [3.0]]))
    record.keep(torch.tensor([2, 0]))
    assert record.read(torch.tensor([1])) == [([[1], [4]], [[0.5], [2.5]])]
    assert record.read(torch.tensor([0])) == [([[3], [6]], [[1.0], [3.0]])]
