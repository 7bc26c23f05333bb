"""What holds for every score, scope and number of heads."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from kochi.attention import (
    SCOPES,
    SCORES,
    Attention,
    AttentionState,
    MultiHeadAttention,
    Positions,
    ProjectedMemory,
    Scope,
    build,
)
from kochi.attention.kernels.dispatch import refusal
from kochi.attention.scopes import Coverage
from tests.covering import pairwise

Module = Attention | MultiHeadAttention
KERNELS = ("reference", "sdpa", "dense", "blocked")
NARROW: dict[str, dict[str, Any]] = {  # so that something is hidden in a short memory
    "sliding_window": {"left": 1, "right": 2},
    "local_m": {"width": 1, "ratio": 1.5},
    "local_p": {"width": 2},
}
PAIRS = [
    (score, scope)
    for score in SCORES
    for scope in SCOPES
    # Every score with the plain scopes, two scores of different kind with the others.
    if scope in ("global", "causal") or score in ("scaled_dot", "additive")
] + [("location_aware", "coverage")]
BY_PLACE = ("location", "location_aware")


def make(score: str, scope: str, heads: int, kernel: str) -> Module:
    table = {"kind": scope, **NARROW.get(scope, {})}
    module = build(score, table, query_size=6, memory_size=6, num_heads=heads, kernel=kernel)
    if isinstance(module.scope, Coverage):
        torch.nn.init.normal_(module.scope.weight)
    return module.double()


def served(score: str, scope: str, kernel: str) -> bool:
    return refusal(kernel, build(score, scope, query_size=6, memory_size=6).parts) is None


CASES = [
    (score, scope, heads, kernel)
    for score, scope in PAIRS
    for heads in (1, 2)
    for kernel in KERNELS
    if served(score, scope, kernel)
]
NAMES = ("score", "scope", "heads", "kernel")
every_case = pytest.mark.parametrize(NAMES, pairwise(CASES))
drawn_case = st.sampled_from(CASES)


def numbers(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def by_head(alignment: Tensor | None) -> Tensor:
    """Return ``[batch, heads, target, source]`` whatever the number of heads."""
    assert alignment is not None
    return alignment if alignment.dim() == 4 else alignment.unsqueeze(1)


def test_by_hand() -> None:
    module = build("dot", query_size=2, memory_size=2)
    memory = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]]])
    projected = module.project(memory, torch.tensor([[True, True, False]]))
    query = torch.tensor([[[torch.log(torch.tensor(3.0)).item(), 0.0]]])
    context, alignment, state = module(query, projected, need_alignment=True)
    assert alignment is not None
    torch.testing.assert_close(alignment, torch.tensor([[[0.75, 0.25, 0.0]]]))
    torch.testing.assert_close(context, torch.tensor([[[0.75, 0.25]]]))
    assert state == AttentionState(position=1)


@every_case
@settings(max_examples=8, deadline=None)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore:mask")
def test_alignment_rows(
    score: str, scope: str, heads: int, kernel: str, data: st.DataObject
) -> None:
    module = make(score, scope, heads, kernel)
    target, source = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 5))
    flags = data.draw(st.lists(st.booleans(), min_size=source * 3, max_size=source * 3))
    mask = torch.tensor(flags, dtype=torch.bool).view(3, source)
    query, memory = numbers(3, target, 6), numbers(3, source, 6)
    context, alignment, _ = module(query, module.project(memory, mask), need_alignment=True)
    visible = mask[:, None, None, :].expand(3, heads, target, source)
    if isinstance(module.scope, Scope):
        seen = module.scope(Positions(target, source, mask.device))
        visible = visible if seen is None else visible & seen
    rows = by_head(alignment)
    if scope == "local_p":  # multiplied by its Gaussian
        assert ((rows.sum(-1) >= 0) & (rows.sum(-1) <= 1 + 1e-12)).all()
    else:
        torch.testing.assert_close(rows.sum(-1), visible.any(-1).double())
    assert (rows[~visible] == 0).all()
    if heads == 1:
        torch.testing.assert_close(context, (rows @ memory.unsqueeze(1)).squeeze(1))


@every_case
def test_more_padding_changes_nothing(score: str, scope: str, heads: int, kernel: str) -> None:
    module = make(score, scope, heads, kernel)
    query, memory = numbers(3, 4, 6), numbers(3, 5, 6)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] + [False] * 4])
    padded = torch.cat((memory, numbers(3, 2, 6)), dim=1)
    padded_mask = torch.cat((mask, torch.zeros(3, 2, dtype=torch.bool)), dim=1)
    short = module(query, module.project(memory, mask), need_alignment=True)
    long = module(query, module.project(padded, padded_mask), need_alignment=True)
    torch.testing.assert_close(long.context, short.context, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        by_head(long.alignment)[..., :5], by_head(short.alignment), rtol=1e-12, atol=1e-12
    )


@settings(max_examples=20, deadline=None)
@given(case=drawn_case, order=st.permutations(range(5)))
def test_permuting_keys_permutes_the_alignment(
    case: tuple[str, str, int, str], order: list[int]
) -> None:
    assume(case[0] not in BY_PLACE)
    module = make(*case)
    query, memory = numbers(2, 3, 6), numbers(2, 5, 6)
    mask = torch.tensor([[True] * 5, [True, False, True, True, False]])
    permutation = torch.tensor(order)
    straight = module(query, module.project(memory, mask), need_alignment=True)
    projected = module.project(memory[:, permutation], mask[:, permutation])
    turned = module(query, projected, need_alignment=True, key_positions=permutation)
    torch.testing.assert_close(turned.context, straight.context)
    torch.testing.assert_close(
        by_head(turned.alignment), by_head(straight.alignment)[..., permutation]
    )


@every_case
def test_step_by_step_equals_all_at_once(score: str, scope: str, heads: int, kernel: str) -> None:
    module = make(score, scope, heads, kernel)
    query, memory = numbers(2, 5, 6), numbers(2, 7, 6)
    mask = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    projected = module.project(memory, mask)
    whole = module(query, projected, need_alignment=True)
    state, contexts, alignments = None, [], []
    for step in (slice(0, 1), slice(1, 3), slice(3, 5)):
        context, alignment, state = module(
            query[:, step], projected, state=state, need_alignment=True
        )
        contexts.append(context)
        alignments.append(by_head(alignment))
    assert state is not None
    assert state.position == whole.state.position == 5
    assert (state.past is not None) is module.parts.recurrent
    if state.past is not None and whole.state.past is not None:
        torch.testing.assert_close(state.past.previous, whole.state.past.previous)
        torch.testing.assert_close(state.past.accumulated, whole.state.past.accumulated)
    torch.testing.assert_close(torch.cat(contexts, dim=1), whole.context)
    torch.testing.assert_close(torch.cat(alignments, dim=2), by_head(whole.alignment))


@every_case
def test_growing_memory_equals_all_at_once(score: str, scope: str, heads: int, kernel: str) -> None:
    """Causal self-attention with a cache, one more position at each step."""
    module = make(score, "causal", heads, kernel)
    values = numbers(2, 5, 6)
    whole = module(values, module.project(values)).context
    state, cache, contexts = None, module.project(values[:, :1]), []
    for step in range(5):
        one = values[:, step : step + 1]
        cache = cache if step == 0 else cache.append(module.project(one))
        context, _, state = module(one, cache, state=state)
        contexts.append(context)
    torch.testing.assert_close(torch.cat(contexts, dim=1), whole)


@every_case
def test_a_batch_of_one_equals_a_row(score: str, scope: str, heads: int, kernel: str) -> None:
    module = make(score, scope, heads, kernel)
    query, memory = numbers(3, 4, 6), numbers(3, 5, 6)
    mask = torch.tensor([[True] * 5, [True] * 2 + [False] * 3, [False] * 5])
    together = module(query, module.project(memory, mask), need_alignment=True)
    for row in range(3):
        one = slice(row, row + 1)
        projected = module.project(memory[one], mask[one])
        alone = module(query[one], projected, need_alignment=True)
        torch.testing.assert_close(alone.context, together.context[one])
        torch.testing.assert_close(by_head(alone.alignment), by_head(together.alignment)[one])


@every_case
def test_beams_share_the_memory(score: str, scope: str, heads: int, kernel: str) -> None:
    """Queries of a beam stand on the target axis, all at one position."""
    module = make(score, scope, heads, kernel)
    query, memory = numbers(2, 3, 6), numbers(2, 5, 6)
    projected = module.project(memory)
    beam = module.step(query, projected, AttentionState(2)).context
    if not module.parts.recurrent:
        again = module(query, projected, query_positions=2).context
        torch.testing.assert_close(again, beam)
    for width in range(3):
        one = module(query[:, width : width + 1], projected, state=AttentionState(2)).context
        torch.testing.assert_close(beam[:, width : width + 1], one)


@every_case
def test_each_beam_goes_on_from_its_own_past(
    score: str, scope: str, heads: int, kernel: str
) -> None:
    """Two steps of three beams, new beams from old, one sentence dropped, a third step."""
    module = make(score, scope, heads, kernel)
    memory = numbers(2, 5, 6)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    projected, state = module.project(memory, mask), AttentionState()
    history = numbers(2, 3, 3, 6)  # sentence, beam, step
    for step in range(2):
        state = module.step(history[:, :, step], projected, state).state
    parents, kept = torch.tensor([[2, 0, 2], [1, 1, 0]]), torch.tensor([1])
    state = state.reorder(parents).keep(kept)
    asked = numbers(1, 3, 6)
    found = module.step(asked, projected.rows(kept), state, need_alignment=True)
    for beam, parent in enumerate(parents[1].tolist()):
        alone = torch.cat((history[1:, parent, :2], asked[:, beam : beam + 1]), dim=1)
        expected = module(alone, module.project(memory[1:], mask[1:]), need_alignment=True)
        torch.testing.assert_close(found.context[:, beam], expected.context[:, 2])
        torch.testing.assert_close(
            by_head(found.alignment)[:, :, beam], by_head(expected.alignment)[:, :, 2]
        )


POISONED = [
    (*case, poison, early)
    for case in CASES
    for poison in (torch.nan, torch.inf, -torch.inf, 1e300)
    for early in (True, False)
]


@pytest.mark.parametrize((*NAMES, "poison", "early"), pairwise(POISONED))
def test_nothing_leaks_from_masked_positions(
    score: str,
    scope: str,
    heads: int,
    kernel: str,
    poison: float,
    early: bool,
    gradients: Callable[..., list[Tensor]],
) -> None:
    module = make(score, scope, heads, kernel)
    query = numbers(3, 4, 6).requires_grad_()
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [False] * 5])
    clean, results = numbers(3, 5, 6), []
    for hidden in (0.0, poison):
        memory = clean.masked_fill(~mask.unsqueeze(-1), hidden).requires_grad_()
        projected = module.project(memory, mask) if early else module.project(memory)
        output = module(query, projected, mask=None if early else mask, need_alignment=True)
        inputs = [query, memory, *module.parameters()]
        found = gradients(output.context, inputs)
        results.append([output.context, by_head(output.alignment), *found])
    for expected, found in zip(*results, strict=True):
        assert found.isfinite().all()
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert (results[1][1][2] == 0).all()
    if heads == 1:
        assert (results[1][0][2] == 0).all()
    assert (results[1][3][2] == 0).all()  # gradient of the memory that nobody may see


@every_case
def test_only_who_may_see_a_broken_place_reads_nan(
    score: str, scope: str, heads: int, kernel: str
) -> None:
    module = make(score, scope, heads, kernel)
    query, memory = numbers(2, 3, 6), numbers(2, 4, 6)
    memory[0, 2] = torch.nan
    mask = torch.ones(2, 3, 4, dtype=torch.bool)
    mask[0, 2, 2] = False
    output = module(query, module.project(memory), mask=mask, need_alignment=True)
    # Query 0 and 1 of sentence 0 attend to position 2, unless the scope hides it.
    broken = torch.zeros(2, 3, dtype=torch.bool)
    seen = module.scope(Positions(3, 4, mask.device)) if isinstance(module.scope, Scope) else None
    broken[0, :2] = True if seen is None else seen[:2, 2]
    if scope == "local_p":  # each head predicts what it sees
        broken = output.context.isnan().any(-1)
        assert not broken[1].any()
        assert not broken[0, 2]
        return
    assert torch.equal(output.context.isnan().all(-1), broken)
    assert torch.equal(output.context.isnan().any(-1), broken)
    alignment = by_head(output.alignment)
    seen = mask if seen is None else mask & seen
    assert torch.equal(
        alignment.isnan(), (broken.unsqueeze(-1) & seen).unsqueeze(1).expand_as(alignment)
    )
    silent = module(query, module.project(memory), mask=mask)
    torch.testing.assert_close(silent.context, output.context, equal_nan=True)


@every_case
def test_memory_of_length_zero(
    score: str,
    scope: str,
    heads: int,
    kernel: str,
    gradients: Callable[..., list[Tensor]],
) -> None:
    module = make(score, scope, heads, kernel)
    query = numbers(2, 3, 6).requires_grad_()
    memory = numbers(2, 0, 6).requires_grad_()
    for mask in (None, torch.zeros(2, 0, dtype=torch.bool)):
        output = module(query, module.project(memory, mask), need_alignment=True)
        assert by_head(output.alignment).shape == (2, heads, 3, 0)
        expected = torch.zeros(2, 3, 6, dtype=torch.float64)
        if isinstance(module, MultiHeadAttention):
            expected = module.output_proj(expected)
        assert torch.equal(output.context, expected)
        for gradient in gradients(output.context, [query]) if heads > 1 else []:
            assert (gradient == 0).all()


@every_case
def test_no_queries_at_all(score: str, scope: str, heads: int, kernel: str) -> None:
    module = make(score, scope, heads, kernel)
    output = module(numbers(2, 0, 6), module.project(numbers(2, 5, 6)), need_alignment=True)
    assert output.context.shape == (2, 0, 6)
    assert by_head(output.alignment).shape == (2, heads, 0, 5)
    assert output.state == AttentionState()


def test_masks_of_memory_and_call_add_up() -> None:
    module = build("dot", query_size=3, memory_size=3)
    memory, query = torch.randn(2, 4, 3), torch.randn(2, 2, 3)
    first = torch.tensor([[True, True, True, False]] * 2)
    second = torch.rand(2, 2, 4) < 0.6
    both = module(query, module.project(memory, first), mask=second, need_alignment=True)
    joined = first.unsqueeze(1) & second
    one = module(query, module.project(memory), mask=joined, need_alignment=True)
    torch.testing.assert_close(both.alignment, one.alignment)
    torch.testing.assert_close(both.context, one.context)


def test_rows_and_append() -> None:
    module = build("additive", query_size=3, memory_size=3)
    memory, mask = torch.randn(3, 4, 3), torch.rand(3, 4) < 0.5
    memory[1, 1] = torch.nan
    rows = torch.tensor([2, 0])
    some, expected = (
        module.project(memory, mask).rows(rows),
        module.project(memory[rows], mask[rows]),
    )
    query = torch.randn(2, 2, 3)
    torch.testing.assert_close(module(query, some).context, module(query, expected).context)
    assert some.mask is not None
    assert torch.equal(some.mask, mask[rows])
    broken = module.project(memory)
    assert broken.finite is not None
    joined = broken.append(module.project(torch.randn(3, 2, 3)))
    assert joined.keys.shape == (3, 1, 6, 3)
    assert joined.mask is None
    assert joined.finite is not None
    assert (~joined.finite).nonzero().tolist() == [[1, 1]]
    assert broken.rows(torch.tensor([1])).finite is not None


def test_dot_keeps_keys_and_values_one() -> None:
    module = build("dot", query_size=3, memory_size=3)
    projected: ProjectedMemory = module.project(torch.randn(3, 4, 3))
    assert projected.keys is projected.values
    assert projected.rows(torch.tensor([1])).append(projected.rows(torch.tensor([0]))).mask is None


def test_arguments_that_do_not_fit(shapes_unchecked: None) -> None:
    module = build("additive", query_size=5, memory_size=3)
    projected = module.project(torch.randn(2, 4, 3))
    mask = torch.ones(2, 4, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"memory_values: got shape \[2, 4, 7\], .*size=3\]"):
        module.project(torch.randn(2, 4, 7))
    with pytest.raises(ValueError, match=r"mask: got torch.bool of shape \[2, 5\], .* \[2, 4\]"):
        module.project(torch.randn(2, 4, 3), torch.ones(2, 5, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"query: got shape \[2, 1, 7\], .*query_size=5\]"):
        module(torch.randn(2, 1, 7), projected)
    with pytest.raises(ValueError, match=r"query: got a batch of 3, but the memory's is 2"):
        module(torch.randn(3, 1, 5), projected)
    with pytest.raises(ValueError, match=r"mask: got torch.bool of shape \[2, 2, 1, 4\], expected"):
        module(torch.randn(2, 1, 5), projected, mask=mask[:, None, None].repeat(1, 2, 1, 1))
    with pytest.raises(
        ValueError, match=r"mask: got torch.bool of shape \[2, 2, 4\], .*\[2, 1, 4\]"
    ):
        module(torch.randn(2, 1, 5), projected, mask=mask[:, None].repeat(1, 2, 1))


def test_a_mask_of_numbers_is_refused(shapes_unchecked: None) -> None:
    module = build("additive", query_size=5, memory_size=3)
    with pytest.raises(ValueError, match=r"mask: got torch.float32 of shape \[2, 4\], expected"):
        module.project(torch.randn(2, 4, 3), torch.ones(2, 4))
    with pytest.raises(ValueError, match=r"mask: got torch.float32 of shape \[2, 4\], expected"):
        module(torch.randn(2, 1, 5), module.project(torch.randn(2, 4, 3)), mask=torch.ones(2, 4))


@pytest.mark.parametrize("scope", ["causal", "sliding_window", "local_m"])
def test_each_sentence_may_have_positions_of_its_own(scope: str) -> None:
    module = build("dot", scope, query_size=3, memory_size=3)
    query, projected = torch.randn(2, 4, 3), module.project(torch.randn(2, 9, 3))
    positions = torch.tensor([[0, 3, 4, 8], [5, 1, 1, 2]])
    found = module(query, projected, query_positions=positions, need_alignment=True)
    for row in range(2):
        one = slice(row, row + 1)
        alone = module.project(torch.zeros(1, 9, 3))
        alone = replace(alone, keys=projected.keys[one], values=projected.values[one])
        rest = {"query_positions": positions[row], "need_alignment": True}
        expected = module(query[one], alone, **rest)
        torch.testing.assert_close(found.context[one], expected.context)
        torch.testing.assert_close(by_head(found.alignment)[one], by_head(expected.alignment))


def test_a_band_holds_beside_a_term_of_the_score() -> None:
    sizes: Any = {"query_size": 4, "memory_size": 4, "num_heads": 2, "relative": "alibi"}
    band = build("scaled_dot", {"kind": "sliding_window", "left": 2, "right": 1}, **sizes)
    everywhere = build("scaled_dot", "global", **sizes)
    everywhere.load_state_dict(band.state_dict())
    x = torch.randn(2, 7, 4)
    ahead = torch.arange(7) - torch.arange(7)[:, None]
    mask = ((ahead >= -2) & (ahead <= 1)).expand(2, -1, -1)
    found = band(x, band.project(x)).context
    torch.testing.assert_close(found, everywhere(x, everywhere.project(x), mask=mask).context)


def test_a_predicted_window_with_positions_of_the_keys() -> None:
    module = build("dot", {"kind": "local_p", "width": 2}, query_size=3, memory_size=3)
    query, projected = torch.randn(2, 4, 3), module.project(torch.randn(2, 9, 3))
    found = module(query, projected, key_positions=torch.arange(9)).context
    torch.testing.assert_close(found, module(query, projected).context)
