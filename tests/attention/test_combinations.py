"""Combinations of scores, scopes, selections and relative terms; `make test` runs them pairwise."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from kochi.attention import (
    RELATIVES,
    SCOPES,
    SCORES,
    SELECTIONS,
    START,
    Attention,
    MultiHeadAttention,
    build,
)
from tests.covering import pairwise

BATCH, TARGET, SOURCE, SIZE = 3, 5, 7, 4
JOINED = [
    ("causal", "sliding_window"),
    ("causal", "local_m"),
    ("sliding_window", "local_p"),
    ("causal", "coverage"),
]
EVERYTHING = [
    *itertools.product(SCORES, SCOPES, SELECTIONS, (None,)),
    *itertools.product(SCORES, SCOPES, ("soft", "sparsemax"), RELATIVES),
    *itertools.product(SCORES, JOINED, ("soft", "sparsemax", "monotonic"), (None,)),
]
REFUSED = r"needs a dot product|need a dot product|`build` with one head has no projections"
DOT_PRODUCTS = ("dot", "scaled_dot", "general", "cosine")

Named = tuple[str, str | tuple[str, ...], str, str | None]
Module = Attention | MultiHeadAttention


def make(parts: Named, heads: int, **options: Any) -> Module | None:
    """Build, or return None where the combination is refused with a reason."""
    score, scope, selection, relative = parts
    sizes = {"query_size": SIZE, "memory_size": SIZE, "num_heads": heads}
    torch.manual_seed(3)
    try:
        module = build(score, scope, selection, relative=relative, **sizes, **options)
    except ValueError as error:
        with pytest.raises(ValueError, match=REFUSED):
            raise error
        return None
    return module.double().eval()


def example() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(5)
    mask = torch.arange(SOURCE) < torch.tensor([[7], [1], [4]])
    query = torch.randn(BATCH, TARGET, SIZE, dtype=torch.float64)
    return query, torch.randn(BATCH, SOURCE, SIZE, dtype=torch.float64), mask


def name(parts: Named) -> str:
    return "-".join(part if isinstance(part, str) else "+".join(part) for part in parts if part)


def is_refused(parts: Named, heads: int) -> bool:
    """Return whether the documentation says that parts cannot be combined."""
    score, _, _, relative = parts
    if relative == "rotary" and heads == 1:
        return True
    return relative in ("shaw", "rotary") and score not in DOT_PRODUCTS


def all_heads(heads: tuple[int, ...]) -> list[Any]:
    """Return what can be built, and what is refused, each pairwise."""
    rows = list(itertools.product(EVERYTHING, heads))
    made, refused = [], []
    for row in rows:
        (refused if is_refused(*row) else made).append(row)
    return [p for group in (made, refused) for p in pairwise(group, lambda row: (*row[0], row[1]))]


def name_of(value: Named | int) -> str:
    return str(value) if isinstance(value, int) else name(value)


EVERY_ROW = all_heads((1, 2))


@pytest.mark.parametrize(("parts", "heads"), EVERY_ROW, ids=name_of)
def test_it_works_or_is_refused(parts: Named, heads: int) -> None:
    """The chosen kernel equals the reference, steps equal the whole, and gradients are finite."""
    module = make(parts, heads)
    assert (module is None) == is_refused(parts, heads)
    if module is None:
        return
    plain = make(parts, heads, kernel="reference")
    assert plain is not None
    query, values, mask = example()
    inputs = query.clone().requires_grad_(), values.clone().requires_grad_()
    projected = module.project(inputs[1], mask)
    found = module(inputs[0], projected, need_alignment=True)
    expected = plain(query, plain.project(values, mask), need_alignment=True)
    torch.testing.assert_close(found.context, expected.context)
    assert found.alignment is not None
    torch.testing.assert_close(found.alignment, expected.alignment)
    hidden = ~mask[:, None] if heads == 1 else ~mask[:, None, None]
    assert (found.alignment.masked_select(hidden.expand_as(found.alignment)) == 0.0).all()
    for gradient in torch.autograd.grad(found.context.sum(), inputs, allow_unused=True):
        assert gradient is None or gradient.isfinite().all()  # None: an argmax has none
    state = START
    for position in range(TARGET):
        one = module.step(query[:, position : position + 1], projected, state)
        torch.testing.assert_close(one.context, found.context[:, position : position + 1])
        state = one.state


@pytest.mark.usefixtures("shapes_unchecked")  # the test above checks them
@pytest.mark.parametrize(("parts", "heads"), EVERY_ROW, ids=name_of)
def test_beams_keep_their_own_past(parts: Named, heads: int) -> None:
    module = make(parts, heads)
    assert (module is None) == is_refused(parts, heads)
    if module is None:
        return
    query, values, mask = example()
    projected = module.project(values, mask)
    beams = torch.tensor([[1, 0], [0, 0], [1, 1]])
    first, second = query[:, 0:2], query[:, 2:4]
    state = module.step(first, projected, START).state.reorder(beams)
    found = module.step(second, projected, state).context
    for row, beam in itertools.product(range(BATCH), range(2)):
        alone = slice(row, row + 1)
        memory = module.project(values[alone], mask[alone])
        before = first[alone, beams[row, beam] : beams[row, beam] + 1]
        past = module.step(before, memory, START).state
        expected = module.step(second[alone, beam : beam + 1], memory, past).context
        torch.testing.assert_close(found[alone, beam : beam + 1], expected)


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(("parts", "heads"), all_heads((1,)), ids=name_of)
def test_nothing_to_see_is_zero(parts: Named, heads: int) -> None:
    module = make(parts, heads)
    assert (module is None) == is_refused(parts, heads)
    if module is None:
        return
    query, values, mask = example()
    mask = mask & torch.tensor([[True], [False], [True]])
    query.requires_grad_()
    values[1] = torch.nan
    for memory in (values, values[:, :0]):
        projected = module.project(memory, mask[:, : memory.shape[1]])
        output = module(query, projected, need_alignment=True)
        assert output.alignment is not None
        assert (output.alignment[1] == 0.0).all()
        assert (output.context[1] == 0.0).all()
        if output.context.requires_grad:  # an argmax has no gradient
            (gradient,) = torch.autograd.grad(output.context.sum(), query, allow_unused=True)
            assert gradient is None or gradient.isfinite().all()
