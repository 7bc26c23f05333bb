import pytest
import torch

from kochi.attention import AttentionMask, Positions, Scope
from kochi.attention.scopes import Causal, Global, LocalM, SlidingWindow

CPU = torch.device("cpu")


def test_global_hides_nothing() -> None:
    assert Global()(Positions(3, 5, CPU)) is None
    assert not Global().is_triangle(Positions(3, 5, CPU))


def test_causal_continues_where_the_last_call_ended() -> None:
    seen = Causal()(Positions(2, 5, CPU, start=2))
    assert seen is not None
    assert seen.int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]


def test_causal_compares_nothing_when_all_is_visible() -> None:
    assert Causal()(Positions(1, 5, CPU, start=4)) is None
    assert Causal()(Positions(3, 7, CPU, query=2, key=2)) is None
    assert Causal()(Positions(3, 3, CPU, query=2)) is None


def test_causal_with_one_number_for_all_queries() -> None:
    seen = Causal()(Positions(2, 4, CPU, query=1))
    assert seen is not None
    assert seen.int().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0]]


def test_causal_with_positions_of_each_sentence() -> None:
    query, key = torch.tensor([[0, 1], [3, 4]]), torch.tensor([[0, 1, 2], [2, 4, 4]])
    seen = Causal()(Positions(2, 3, CPU, query=query, key=key))
    assert seen is not None
    assert seen.int().tolist() == [[[1, 0, 0], [1, 1, 0]], [[1, 0, 0], [1, 1, 1]]]


def test_the_triangle_is_what_causal_says() -> None:
    for target, source in ((3, 3), (2, 5), (5, 2)):
        positions = Positions(target, source, CPU)
        seen = Causal()(positions)
        assert Causal().is_triangle(positions)
        assert seen is not None
        assert torch.equal(seen, torch.ones(target, source, dtype=torch.bool).tril())
    assert not Causal().is_triangle(Positions(1, 3, CPU, start=1))
    assert not Causal().is_triangle(Positions(1, 3, CPU, key=0))


def test_the_band_is_what_the_window_says() -> None:
    for left, right in ((0, 0), (2, 0), (1, 3), (9, 9)):
        scope, positions = SlidingWindow(left=left, right=right), Positions(5, 5, CPU)
        band, seen = scope.band(positions), scope(positions)
        assert band == (left, right)
        assert seen is not None
        whole = AttentionMask(band=band).whole(5, 5, CPU)
        assert whole is not None
        assert torch.equal(whole[0, 0], seen)
    for positions in (Positions(4, 5, CPU), Positions(5, 5, CPU, 1), Positions(5, 5, CPU, query=0)):
        assert SlidingWindow(left=1, right=1).band(positions) is None


def test_a_window_has_no_negative_side() -> None:
    with pytest.raises(ValueError, match="left: got -1, expected a whole number"):
        SlidingWindow(left=-1, right=0)


@pytest.mark.parametrize("scope", [LocalM(width=1, ratio=1.5), SlidingWindow(left=2, right=1)])
def test_windows_say_what_the_mask_says(scope: Scope) -> None:
    own = Positions(2, 9, CPU, query=torch.tensor([[0, 5], [3, 4], [2, 8]]))
    for positions in (Positions(4, 9, CPU, start=2), Positions(1, 9, CPU), own):
        windows, mask = scope.windows(positions), scope(positions)
        assert windows is not None and mask is not None
        found = windows.mask(torch.arange(9)).squeeze(1)
        assert torch.equal(found, mask if mask.dim() == 3 else mask[None])
