import math
from collections.abc import Callable
from itertools import product

import pytest
import torch

from kochi.attention import build
from kochi.attention.scores import Cosine

HEADS = 3


def make() -> Cosine:
    score = Cosine(5, 5, HEADS).double()
    torch.nn.init.normal_(score.scale)
    return score


def test_equals_the_formula_as_a_loop() -> None:
    score = make()
    query, keys = torch.randn(2, HEADS, 4, 5).double(), torch.randn(2, HEADS, 7, 5).double()
    found = score(score.project_query(query), score.project_keys(keys))
    for b, h, t, s in product(range(2), range(HEADS), range(4), range(7)):
        one, other = query[b, h, t].tolist(), keys[b, h, s].tolist()
        dot = sum(x * y for x, y in zip(one, other, strict=True))
        lengths = math.hypot(*one) * math.hypot(*other)
        expected = score.scale[h].item() * dot / lengths
        assert found[b, h, t, s].item() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_by_hand() -> None:
    # The angle between (1, 0) and (1, 1) is 45 degrees, whatever their lengths.
    score = Cosine(2, 2, scale=2.0)
    query, keys = torch.tensor([[[[9.0, 0.0]]]]), torch.tensor([[[[0.1, 0.1], [-4.0, 0.0]]]])
    found = score(score.project_query(query), score.project_keys(keys))
    torch.testing.assert_close(found, torch.tensor([[[[2.0**0.5, -2.0]]]]))


def test_gradients(check_gradients: Callable[..., None]) -> None:
    score = make()
    query, keys = torch.randn(1, HEADS, 2, 5).double(), torch.randn(1, HEADS, 3, 5).double()
    check_gradients(
        score, lambda q, k: score(score.project_query(q), score.project_keys(k)), query, keys
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_vectors_of_zero_score_zero_with_finite_gradients(dtype: torch.dtype) -> None:
    score = Cosine(3, 3).to(dtype)
    query = torch.zeros(1, 1, 2, 3, dtype=dtype, requires_grad=True)
    keys = torch.zeros(1, 1, 4, 3, dtype=dtype, requires_grad=True)
    found = score(score.project_query(query), score.project_keys(keys))
    assert (found == 0).all()
    for gradient in torch.autograd.grad(found.sum(), [query, keys, score.scale]):
        assert gradient.isfinite().all()


def test_it_is_a_dot_product_of_what_it_projects() -> None:
    assert (
        build("cosine", query_size=4, memory_size=4, kernel="sdpa").explain().startswith("kernel")
    )


def test_options_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"scale: got 0.0, expected a finite number above 0"):
        Cosine(4, 4, scale=0.0)
    with pytest.raises(ValueError, match=r"'cosine' needs query_size == memory_size, got quer"):
        Cosine(4, 6)
