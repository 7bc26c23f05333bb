"""What holds for every score, scope and number of heads."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kochi.attention import (
    SCOPES,
    SCORES,
    Attention,
    AttentionState,
    MultiHeadAttention,
    Projected,
    build,
)

OPTIONS = {"sliding_window": {"left": 1, "right": 2}}
Module = Attention | MultiHeadAttention
KERNELS = ("reference", "sdpa", "dense", "blocked")
OF_ADDITIVE = ("reference", "blocked")
CASES = [
    (score, scope, heads, kernel)
    for score in SCORES
    for scope in SCOPES
    for heads in (1, 2)
    for kernel in KERNELS
    if (kernel in OF_ADDITIVE if score == "additive" else kernel != "blocked")
]
every_case = pytest.mark.parametrize(("score", "scope", "heads", "kernel"), CASES)
drawn_case = st.sampled_from(CASES)


def make(score: str, scope: str, heads: int, kernel: str) -> Module:
    part = {"kind": scope, **OPTIONS.get(scope, {})}
    return build(score, part, query_size=6, memory_size=6, num_heads=heads, kernel=kernel).double()


def reach(scope: str, target: int, source: int) -> Tensor:
    """Return what a scope lets queries at 0, 1, ... see."""
    distance = torch.arange(source) - torch.arange(target)[:, None]
    if scope == "causal":
        return distance <= 0
    if scope == "sliding_window":
        return (distance >= -1) & (distance <= 2)
    return torch.ones(target, source, dtype=torch.bool)


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
    visible = visible & reach(scope, target, source)
    rows = by_head(alignment)
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
    assert state == whole.state == AttentionState(position=5)
    torch.testing.assert_close(torch.cat(contexts, dim=1), whole.context)
    torch.testing.assert_close(torch.cat(alignments, dim=2), by_head(whole.alignment))


@every_case
def test_growing_memory_equals_all_at_once(score: str, scope: str, heads: int, kernel: str) -> None:
    """Causal self-attention with a cache, one place more a step."""
    module = make(score, "causal", heads, kernel)
    values = numbers(2, 5, 6)
    whole = module(values, module.project(values)).context
    state, cache, contexts = None, module.project(values[:, :1]), []
    for step in range(5):
        place = values[:, step : step + 1]
        cache = cache if step == 0 else cache.append(module.project(place))
        context, _, state = module(place, cache, state=state)
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
    beam = module(query, projected, query_positions=2).context
    for width in range(3):
        one = module(query[:, width : width + 1], projected, state=AttentionState(2)).context
        torch.testing.assert_close(beam[:, width : width + 1], one)


@every_case
@pytest.mark.parametrize("poison", [torch.nan, torch.inf, -torch.inf, 1e300])
@pytest.mark.parametrize("early", [True, False])
def test_nothing_leaks_from_masked_places(
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
        readout = module(query, projected, mask=None if early else mask, need_alignment=True)
        inputs = [query, memory, *module.parameters()]
        found = gradients(readout.context, inputs)
        results.append([readout.context, by_head(readout.alignment), *found])
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
    readout = module(query, module.project(memory), mask=mask, need_alignment=True)
    # Query 0 and 1 of sentence 0 look at place 2, unless it lies in their future.
    broken = torch.zeros(2, 3, dtype=torch.bool)
    broken[0, :2] = reach(scope, 3, 4)[:2, 2]
    assert torch.equal(readout.context.isnan().all(-1), broken)
    assert torch.equal(readout.context.isnan().any(-1), broken)
    assert torch.equal(by_head(readout.alignment).isnan().any(-1).any(1), broken)


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
        readout = module(query, module.project(memory, mask), need_alignment=True)
        assert by_head(readout.alignment).shape == (2, heads, 3, 0)
        expected = torch.zeros(2, 3, 6, dtype=torch.float64)
        if isinstance(module, MultiHeadAttention):
            expected = module.output_proj(expected)
        assert torch.equal(readout.context, expected)
        for gradient in gradients(readout.context, [query]) if heads > 1 else []:
            assert (gradient == 0).all()


@every_case
def test_no_queries_at_all(score: str, scope: str, heads: int, kernel: str) -> None:
    module = make(score, scope, heads, kernel)
    readout = module(numbers(2, 0, 6), module.project(numbers(2, 5, 6)), need_alignment=True)
    assert readout.context.shape == (2, 0, 6)
    assert by_head(readout.alignment).shape == (2, heads, 0, 5)


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
    projected: Projected = module.project(torch.randn(3, 4, 3))
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
    with pytest.raises(ValueError, match=r"mask: got torch.bool of shape \[2, 1, 1, 4\], expected"):
        module(torch.randn(2, 1, 5), projected, mask=mask[:, None, None])
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
