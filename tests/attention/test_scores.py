import math
from itertools import product

import pytest
import torch
from torch import Tensor

from kochi.attention.scores import Additive, Dot, General, ScaledDot, Score

BATCH, HEADS, TARGET, SOURCE, QUERY, KEY, HIDDEN = 2, 3, 5, 7, 4, 6, 11


def make(name: str, heads: int = HEADS) -> tuple[Score, int]:
    """Return a score in float64 and the size of its keys."""
    scores: dict[str, tuple[Score, int]] = {
        "dot": (Dot(QUERY, QUERY), QUERY),
        "scaled_dot": (ScaledDot(QUERY, QUERY), QUERY),
        "general": (General(QUERY, KEY, heads), KEY),
        "additive": (Additive(QUERY, KEY, heads, hidden_size=HIDDEN), KEY),
    }
    score, key_size = scores[name]
    return score.double(), key_size


def formula(score: Score, query: list[float], key: list[float], head: int) -> float:
    """One number, as the paper writes it."""
    if isinstance(score, General):
        weight = score.weight[head].tolist()
        return sum(
            key[i] * weight[i][j] * query[j] for i, j in product(range(len(key)), range(len(query)))
        )
    if isinstance(score, Additive):
        rows = zip(
            score.vector[head].tolist(),
            score.query_weight[head].tolist(),
            score.key_weight[head].tolist(),
            strict=True,
        )
        return sum(v * math.tanh(dot(w, query) + dot(u, key)) for v, w, u in rows)
    scale = 1.0 / math.sqrt(len(query)) if isinstance(score, ScaledDot) else 1.0
    return scale * dot(query, key)


def dot(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def ask(score: Score, query: Tensor, keys: Tensor) -> Tensor:
    return score(score.project_query(query), score.project_keys(keys))


@pytest.mark.parametrize("heads", [1, HEADS])
@pytest.mark.parametrize("name", ["dot", "scaled_dot", "general", "additive"])
def test_equals_the_formula_as_a_loop(name: str, heads: int) -> None:
    score, key_size = make(name, heads)
    query = torch.randn(BATCH, heads, TARGET, QUERY, dtype=torch.float64)
    keys = torch.randn(BATCH, heads, SOURCE, key_size, dtype=torch.float64)
    found = ask(score, query, keys)
    assert found.shape == (BATCH, heads, TARGET, SOURCE)
    for b, h, t, s in product(range(BATCH), range(heads), range(TARGET), range(SOURCE)):
        expected = formula(score, query[b, h, t].tolist(), keys[b, h, s].tolist(), h)
        assert found[b, h, t, s].item() == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("heads", [1, HEADS])
@pytest.mark.parametrize("name", ["dot", "scaled_dot", "general", "additive"])
def test_gradients_of_inputs_and_parameters(name: str, heads: int) -> None:
    score, key_size = make(name, heads)
    query = torch.randn(1, heads, 2, QUERY, dtype=torch.float64, requires_grad=True)
    keys = torch.randn(1, heads, 3, key_size, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in score.named_parameters()]

    def run(query: Tensor, keys: Tensor, *parameters: Tensor) -> Tensor:
        values = dict(zip(names, parameters, strict=True))
        with torch.nn.utils.stateless._reparametrize_module(score, values):
            return ask(score, query, keys)

    parameters = [p.detach().clone().requires_grad_() for p in score.parameters()]
    assert torch.autograd.gradcheck(run, (query, keys, *parameters))


@pytest.mark.parametrize("name", ["dot", "scaled_dot", "general"])
def test_dot_scale_tells_the_truth(name: str) -> None:
    score, key_size = make(name)
    query = torch.randn(BATCH, HEADS, TARGET, QUERY, dtype=torch.float64)
    keys = torch.randn(BATCH, HEADS, SOURCE, key_size, dtype=torch.float64)
    assert score.dot_scale is not None
    expected = score.dot_scale * torch.einsum(
        "bhtd,bhsd->bhts", score.project_query(query), score.project_keys(keys)
    )
    torch.testing.assert_close(ask(score, query, keys), expected)


def test_additive_by_hand() -> None:
    score = Additive(query_size=1, key_size=1, hidden_size=2)
    with torch.no_grad():
        score.query_weight.copy_(torch.tensor([[[1.0], [2.0]]]))
        score.key_weight.copy_(torch.tensor([[[1.0], [-1.0]]]))
        score.vector.copy_(torch.tensor([[3.0, 5.0]]))
    # Query 1, keys 2 and -1: 3 tanh(1 + 2) + 5 tanh(2 - 2) and 3 tanh(1 - 1) + 5 tanh(2 + 1).
    found = ask(score, torch.tensor([[[[1.0]]]]), torch.tensor([[[[2.0], [-1.0]]]]))
    tanh_3 = 0.9950547536867305
    torch.testing.assert_close(found, torch.tensor([[[[3 * tanh_3, 5 * tanh_3]]]]))


@pytest.mark.parametrize("score", [Dot, ScaledDot])
def test_different_sizes_are_refused(score: type[Dot] | type[ScaledDot]) -> None:
    with pytest.raises(ValueError, match=r"query_size=4 and memory_size=6; use 'general'"):
        score(4, 6)
