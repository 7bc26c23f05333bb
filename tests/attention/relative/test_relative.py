"""What holds for every relative term."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from kochi.attention import RELATIVES, MultiHeadAttention, build_multihead

every_term = pytest.mark.parametrize("relative", RELATIVES)


def make(relative: str, scope: str = "causal", heads: int = 3) -> MultiHeadAttention:
    module = build_multihead(
        "scaled_dot", scope, query_size=12, memory_size=12, num_heads=heads, relative=relative
    ).double()
    for parameter in nn.ModuleList([module.relative or nn.Identity()]).parameters():
        nn.init.normal_(parameter)
    return module


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@every_term
def test_step_by_step_equals_all_at_once(relative: str) -> None:
    module, query = make(relative), numbers(2, 5, 12)
    projected = module.project(numbers(2, 7, 12))
    whole = module(query, projected, need_alignment=True)
    state, contexts = None, []
    for step in (slice(0, 1), slice(1, 3), slice(3, 5)):
        context, _, state = module(query[:, step], projected, state=state)
        contexts.append(context)
    torch.testing.assert_close(torch.cat(contexts, dim=1), whole.context)


@every_term
def test_a_cache_of_beams_equals_each_beam_alone(relative: str) -> None:
    """Width 2, three steps: the cache holds both beams, the mask says which position is whose."""
    module, beams = make(relative), numbers(1, 2, 3, 12)
    query, cache = module.project_self(beams[:, :, 0], positions=0)
    for step in range(1, 3):
        query, grown = module.project_self(beams[:, :, step], positions=step)
        cache = cache.append(grown)
    own = torch.eye(2, dtype=torch.bool).repeat(1, 3).unsqueeze(0)  # the order is step, beam
    steps = torch.tensor([0, 0, 1, 1, 2, 2])
    found = module.attend_heads(query, cache, own, query_positions=2, key_positions=steps).context
    for beam in range(2):
        whole = module.attend_heads(*module.project_self(beams[:, beam])).context
        torch.testing.assert_close(found[:, beam], whole[:, 2])


@every_term
def test_beams_stand_at_one_position(relative: str) -> None:
    module, query = make(relative, "global"), numbers(2, 3, 12)
    projected = module.project(numbers(2, 5, 12))
    _, _, state = module(numbers(2, 2, 12), projected)
    beam = module.step(query, projected, state).context
    for width in range(3):
        one = module(query[:, width : width + 1], projected, state=state).context
        torch.testing.assert_close(beam[:, width : width + 1], one)


@every_term
@pytest.mark.parametrize("poison", [0.0, torch.nan, torch.inf])
def test_more_padding_changes_nothing(
    relative: str, poison: float, gradients: Callable[..., list[Tensor]]
) -> None:
    module, query = make(relative, "global"), numbers(3, 4, 12).requires_grad_()
    memory = numbers(3, 5, 12)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [False] * 5])
    results = []
    for more in (0, 2):
        padded = torch.cat((memory, memory.new_full((3, more, 12), poison)), dim=1)
        seen = torch.cat((mask, torch.zeros(3, more, dtype=torch.bool)), dim=1)
        output = module(query, module.project(padded, seen), need_alignment=True)
        assert output.alignment is not None
        assert (output.alignment.masked_select(~seen[:, None, None]) == 0).all()
        assert (output.alignment[2] == 0).all()
        found = gradients(output.context, [query, *module.parameters()])
        results.append([output.context, output.alignment[..., :5], *found])
    for expected, found in zip(*results, strict=True):
        assert found.isfinite().all()
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@every_term
@pytest.mark.parametrize("target", [0, 3])
@pytest.mark.parametrize("source", [0, 4])
def test_no_queries_and_no_positions(relative: str, target: int, source: int) -> None:
    module = make(relative)
    projected = module.project(numbers(2, source, 12))
    output = module(numbers(2, target, 12), projected, need_alignment=True)
    assert output.context.shape == (2, target, 12)
    assert output.alignment is not None
    assert output.alignment.shape == (2, 3, target, source)


@every_term
def test_only_the_distance_matters(relative: str) -> None:
    module, query, values = make(relative, "global"), numbers(2, 3, 12), numbers(2, 5, 12)
    here = module(query, module.project(values))
    keys = torch.arange(10, 15)
    moved = module.project(values, positions=keys)
    there = module(query, moved, query_positions=torch.arange(10, 13), key_positions=keys)
    elsewhere = module(query, moved, query_positions=torch.arange(14, 17), key_positions=keys)
    torch.testing.assert_close(there.context, here.context)
    assert (here.context - elsewhere.context).abs().max() > 1e-4


def test_rotary_as_a_relative_term_is_rotary() -> None:
    module = build_multihead("dot", query_size=8, memory_size=8, num_heads=1, relative="rotary")
    twin = build_multihead("dot", query_size=8, memory_size=8, num_heads=1, rotary=True)
    twin.load_state_dict(module.state_dict())
    assert module.rotary and module.relative is None
    query, memory = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    expected = twin(query, twin.project(memory)).context
    assert torch.equal(module(query, module.project(memory)).context, expected)
