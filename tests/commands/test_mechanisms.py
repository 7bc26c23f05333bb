"""``kochi mechanisms``."""

from kochi.attention import SCOPES, SCORES, SELECTIONS


def test_every_part_is_listed_with_what_it_does(kochi):
    result = kochi("mechanisms")
    assert result.code == 0
    described = {line.split()[0] for line in result.out.splitlines() if line.startswith("  ")}
    assert {*SCORES, *SCOPES, *SELECTIONS} <= described


def test_the_table_names_the_kernel_or_the_reason(kochi):
    result = kochi("mechanisms", "--length", "4096", "--heads", "2")
    lines = [line.split() for line in result.out.splitlines()]
    expected = ["dot", "sdpa", "sdpa", "banded", "windowed", "windowed", "reference", "soft"]
    assert expected in lines
    assert "(1) refused: relative: Shaw needs a dot product" in result.out


def test_heads_that_do_not_divide(kochi):
    result = kochi("mechanisms", "--heads", "3")
    assert (result.code, result.err) == (2, "kochi: --heads 3: expected one of 1, 2, 4, 8\n")
