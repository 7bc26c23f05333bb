"""The covering arrays meet every pair, and no combination is lost."""

from itertools import product

import pytest

from tests.covering import covering, pairs, pairwise

ROWS = [
    row
    for row in product(("dot", "additive", "location"), (None, "causal", 3), (1, 2), (0.5, "x"))
    if row[:2] != ("location", "causal")
]


def test_every_pair_is_met_by_few_rows():
    chosen = covering(ROWS)
    assert chosen <= set(ROWS)
    met = set.union(*map(pairs, chosen))
    assert met == set.union(*map(pairs, ROWS))
    assert ("location", "causal") not in {pair[2:] for pair in met}
    assert 8 <= len(chosen) <= 11  # 8 pairs of the first two columns


@pytest.mark.parametrize("everything", [True, False])
def test_all_rows_or_those_of_a_covering_array(everything, monkeypatch):
    monkeypatch.setattr("tests.covering.EVERYTHING", everything)
    found = [param.values for param in pairwise(ROWS)]
    chosen = covering(ROWS)
    assert found == [row for row in ROWS if everything or row in chosen]


def test_values_that_cannot_be_hashed_and_keys():
    rows = [([1], {"a": 2}), ([2], {"a": 2})]
    assert len(pairwise(rows)) == 2
    assert len(pairwise(rows, key=lambda row: (row[1], "same"))) == 2  # both have the chosen values
