import numpy as np
import pytest

from kochi.metrics import alignment_scores
from kochi.metrics.alignment import count_links, error_rate, read_links


def test_a_case_by_hand():
    """Three links found, of which one is sure, one possible and one wrong; two sure ones to find.

    1 - (1 + 2) / (3 + 2) = 2/5.
    """
    counts = count_links([[(0, 0), (1, 2), (2, 2)]], [read_links("0-0 1?2 3-1")])
    assert counts.tolist() == [[3, 2, 1, 2]]
    assert error_rate(counts[0]) == pytest.approx(40.0)


def test_sure_links_are_enough_and_possible_ones_do_no_harm():
    gold = [read_links("0-0 1-1 1?2")]
    for found in ([(0, 0), (1, 1)], [(0, 0), (1, 1), (1, 2)]):
        assert alignment_scores([found], gold)["aer"].value == 0.0
    assert alignment_scores([[]], gold)["aer"].value == 100.0
    assert alignment_scores([[(5, 5)]], gold)["aer"].value == 100.0
    assert alignment_scores([[]], [read_links("")])["aer"].value == 0.0


def test_links_are_added_up_over_the_corpus():
    gold = [read_links("0-0 1-1 2-2"), read_links("0-0")]
    scores = alignment_scores([[(0, 0), (1, 1), (2, 2)], [(0, 1)]], gold)
    assert scores["aer"].value == pytest.approx(25.0)
    assert (scores["precision"].value, scores["recall"].value) == (75.0, 75.0)
    for score in scores.values():
        assert score.low <= score.value <= score.high


def test_links_found_twice_count_once():
    assert count_links([[(0, 0), (0, 0)]], [read_links("0-0 0-0")]).tolist() == [[1, 1, 1, 1]]


def test_both_signs_of_possible_links():
    assert read_links("0p1 2?3") == read_links(" 2?3  0?1 ")
    assert read_links("0?1 0-1").sure == {(0, 1)}


@pytest.mark.parametrize("line", ["0", "0-", "a-b", "0-0,1-1", "-1-0", "0--1"])
def test_what_is_no_link_is_named(line):
    with pytest.raises(ValueError, match="is not a link; expected links such as 0-0"):
        read_links(line)


def test_rows_must_belong_together():
    with pytest.raises(ValueError, match="gold: 1 rows, but links were found in 2"):
        alignment_scores([[], []], [read_links("")])
    with pytest.raises(ValueError, match="gold: no rows"):
        alignment_scores([], [])
    with pytest.raises(ValueError, match="confidence = 100"):
        alignment_scores([[]], [read_links("")], confidence=100.0)


def test_the_interval_is_of_rows_drawn_again():
    """Of two rows, one all right and one all wrong, a quarter of the draws is all right."""
    gold = [read_links("0-0"), read_links("0-0")]
    score = alignment_scores([[(0, 0)], [(1, 0)]], gold, confidence=90.0)["aer"]
    assert (score.low, score.value, score.high) == (0.0, 50.0, 100.0)
    assert np.isfinite([score.low, score.high]).all()
