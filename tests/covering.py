"""Covering arrays: `make test` makes enough combinations to meet every pair, `make test-all` all.

Most faults of combined parts need two of them (Kuhn, Wallace and Gallo 2004, "Software fault
interactions and implications for software testing", https://doi.org/10.1109/TSE.2004.24).
"""

import os
from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations, product
from typing import Any

import pytest

EVERYTHING = os.environ.get("TESTS") == "all"  # in `make test-all`
Row = tuple[Hashable, ...]


def pairs(row: Row) -> set[tuple[int, int, Hashable, Hashable]]:
    """Return the pairs of values of a row, with their columns."""
    return {(i, j, row[i], row[j]) for i, j in combinations(range(len(row)), 2)}


def covering(rows: Sequence[Row]) -> set[Row]:
    """Choose rows, each that with the most new pairs, until every pair of all rows is met.

    >>> len(covering(list(product("ab", "cd", "ef"))))
    4
    """
    left = {row: pairs(row) for row in rows}
    chosen = set[Row]()
    while left:
        best = max(left, key=lambda row: len(left[row]))
        met = left.pop(best)
        chosen.add(best)
        for row in list(left):
            left[row] -= met
            if not left[row]:
                del left[row]
    return chosen


def pairwise(rows: Iterable[tuple[Any, ...]], key: Any = None) -> list[Any]:
    """Return parameters of a test: a covering array, or `EVERYTHING`.

    Args:
        rows: All combinations.
        key: Turns a combination into the values whose pairs are to be met; by default it has them.
    """
    rows = list(rows)
    keys = [tuple(map(_hashable, row if key is None else key(row))) for row in rows]
    chosen = covering(list(dict.fromkeys(keys)))
    return [
        pytest.param(*row)
        for row, values in zip(rows, keys, strict=True)
        if EVERYTHING or values in chosen
    ]


def pairwise_product(**values: Iterable[Any]) -> Any:
    """Parametrize a test with the product of values, pairwise."""
    return pytest.mark.parametrize(tuple(values), pairwise(product(*values.values())))


def _hashable(value: Any) -> Hashable:
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value
