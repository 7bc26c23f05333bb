"""The covering arrays meet every pair, and no combination is lost."""

from itertools import product

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


def test_the_other_rows_are_slow():
    params = pairwise(ROWS)
    assert [param.values for param in params] == ROWS
    quick = {param.values for param in params if not param.marks}
    assert quick == covering(ROWS)
    assert all(param.marks[0].name == "slow" for param in params if param.values not in quick)


def test_values_that_cannot_be_hashed_and_keys():
    rows = [([1], {"a": 2}), ([2], {"a": 2})]
    assert not any(param.marks for param in pairwise(rows))
    params = pairwise(rows, key=lambda row: (row[1], "same"))
    assert all(not param.marks for param in params)  # both have the chosen values
