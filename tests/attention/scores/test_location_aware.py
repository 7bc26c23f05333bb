import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kochi.attention import Past, build
from kochi.attention.scores import LocationAware

BATCH, HEADS, TARGET, SOURCE = 2, 3, 4, 7


def make() -> LocationAware:
    score = LocationAware(5, 6, HEADS, hidden_size=11, filters=2, width=5).double()
    torch.nn.init.normal_(score.bias)
    return score


def alignments() -> Tensor:
    return torch.randn(BATCH, HEADS, TARGET, SOURCE).double().softmax(-1)


def ask(score: LocationAware, query: Tensor, keys: Tensor, past: Past | None) -> Tensor:
    return score(score.project_query(query), score.project_keys(keys), past)


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def dot(one: list[float], other: list[float]) -> float:
    return sum(x * y for x, y in zip(one, other, strict=True))


def formula(
    score: LocationAware, query: Tensor, keys: Tensor, past: list[list[float]], head: int, s: int
) -> float:
    """One number, as the paper writes it, with two channels."""
    width = score.filters.shape[3]
    features = []
    for channels in score.filters[head].tolist():
        found = 0.0
        for channel, weights in zip(past, channels, strict=True):
            for i, weight in enumerate(weights):
                position = s + i - width // 2
                found += weight * channel[position] if 0 <= position < len(channel) else 0.0
        features.append(found)
    total = 0.0
    for i, weight in enumerate(score.vector[head].tolist()):
        hidden = dot(score.query_weight[head, i].tolist(), query.tolist())
        hidden += dot(score.key_weight[head, i].tolist(), keys.tolist())
        hidden += dot(score.filter_weight[head, i].tolist(), features)
        total += weight * math.tanh(hidden + score.bias[head, 0, i].item())
    return total


@pytest.mark.parametrize("first", [True, False])
def test_equals_the_formula_as_a_loop(first: bool) -> None:
    score = make()
    query, keys = numbers(BATCH, HEADS, TARGET, 5), numbers(BATCH, HEADS, SOURCE, 6)
    zeros = torch.zeros(BATCH, HEADS, TARGET, SOURCE).double()
    past = Past(zeros, zeros) if first else Past(alignments(), alignments() + alignments())
    found = ask(score, query, keys, None if first else past)
    for b, h, t, s in torch.cartesian_prod(*map(torch.arange, found.shape)).tolist():
        channels = [past.previous[b, h, t].tolist(), past.accumulated[b, h, t].tolist()]
        expected = formula(score, query[b, h, t], keys[b, h, s], channels, h, s)
        assert found[b, h, t, s].item() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_by_hand() -> None:
    score = LocationAware(1, 1, filters=1, width=3)
    with torch.no_grad():
        for parameter in (score.query_weight, score.key_weight, score.vector, score.filter_weight):
            parameter.fill_(1.0)
        # What the position's left neighbour got last time, minus what the position got so far.
        score.filters.copy_(torch.tensor([[[[1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]]]))
    past = Past(torch.tensor([[[[0.0, 1.0, 0.0]]]]), torch.tensor([[[[1.0, 1.0, 0.0]]]]))
    found = score(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 3, 1), past)
    tanh_1 = 0.7615941559557649
    torch.testing.assert_close(found, torch.tensor([[[[-tanh_1, -tanh_1, tanh_1]]]]))


def test_gradients(check_gradients: Callable[..., None]) -> None:
    score = LocationAware(2, 3, 2, hidden_size=3, filters=2, width=3).double()

    def run(query: Tensor, keys: Tensor, previous: Tensor, accumulated: Tensor) -> Tensor:
        return ask(score, query, keys, Past(previous, accumulated))

    check_gradients(
        score,
        run,
        numbers(1, 2, 2, 2),
        numbers(1, 2, 4, 3),
        numbers(1, 2, 2, 4),
        numbers(1, 2, 2, 4),
    )


def test_the_second_query_knows_where_the_first_looked() -> None:
    """The same question twice, and a module whose only thought is not to look again."""
    module = build(
        {"kind": "location_aware", "filters": 1, "width": 1}, query_size=2, memory_size=2
    )
    assert isinstance(module.score, LocationAware)
    with torch.no_grad():
        for parameter in module.score.parameters():
            parameter.zero_()
        module.score.filters[..., 1, 0] = -1.0
        module.score.filter_weight.fill_(1.0)
        module.score.vector.fill_(50.0)
    mask = torch.tensor([[[True, False, False], [True, True, False]]])
    query, projected = torch.zeros(1, 2, 2), module.project(torch.randn(1, 3, 2))
    alignment = module(query, projected, mask=mask, need_alignment=True).alignment
    torch.testing.assert_close(alignment, torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]))


def test_options_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"width: got 4, expected an odd number"):
        LocationAware(4, 4, width=4)
    with pytest.raises(ValueError, match=r"width: got -1, expected a whole number of 1 or more"):
        LocationAware(4, 4, width=-1)
    with pytest.raises(ValueError, match=r"filters: got 0, expected a whole number of 1 or more"):
        LocationAware(4, 4, filters=0)
    with pytest.raises(ValueError, match=r"hidden_size: got 0, expected a whole number of 1 or m"):
        LocationAware(4, 4, hidden_size=0)
