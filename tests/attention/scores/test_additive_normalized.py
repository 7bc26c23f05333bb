import math
from collections.abc import Callable

import pytest
import torch

from kochi.attention.scores import Additive

HEADS = 3


def make() -> Additive:
    score = Additive(4, 6, HEADS, hidden_size=5, normalize=True).double()
    torch.nn.init.normal_(score.bias)
    torch.nn.init.normal_(score.scale)
    return score


def test_equals_the_formula_as_a_loop() -> None:
    score = make()
    query, keys = torch.randn(2, HEADS, 3, 4).double(), torch.randn(2, HEADS, 7, 6).double()
    found = score(score.project_query(query), score.project_keys(keys))
    for b, h, t, s in torch.cartesian_prod(*map(torch.arange, found.shape)).tolist():
        vector, expected = score.vector[h].tolist(), 0.0
        for i, v in enumerate(vector):
            hidden = (
                score.query_weight[h, i] @ query[b, h, t] + score.key_weight[h, i] @ keys[b, h, s]
            )
            expected += v / math.hypot(*vector) * math.tanh((hidden + score.bias[h, 0, i]).item())
        expected *= score.scale[h].item()
        assert found[b, h, t, s].item() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_gradients(check_gradients: Callable[..., None]) -> None:
    score = make()
    query, keys = torch.randn(1, HEADS, 2, 4).double(), torch.randn(1, HEADS, 3, 6).double()
    check_gradients(
        score, lambda q, k: score(score.project_query(q), score.project_keys(k)), query, keys
    )


def test_the_length_of_the_vector_changes_nothing() -> None:
    score = make()
    query, keys = torch.randn(1, HEADS, 2, 5).double(), torch.randn(1, HEADS, 3, 5).double()
    before = score(query, keys)
    with torch.no_grad():
        score.vector.mul_(7.0)
    torch.testing.assert_close(score(query, keys), before)


def test_it_starts_as_in_the_paper() -> None:
    score = Additive(4, 6, 2, hidden_size=16, normalize=True)
    assert score.scale.tolist() == [0.25, 0.25]
    assert (score.bias == 0).all()
    assert set(dict(Additive(4, 6).named_parameters())) == {"query_weight", "key_weight", "vector"}
