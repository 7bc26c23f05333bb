"""What holds for every selection."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from kochi.attention.history import Past
from kochi.attention.selections import (
    AnySelection,
    Choice,
    Chunkwise,
    Entmax,
    Entmax15,
    Gumbel,
    Hard,
    Marginal,
    Monotonic,
    RecurrentSelection,
    Smoothed,
    Soft,
    Sparsemax,
    StraightThrough,
    TopK,
    Walk,
)

BATCH, HEADS, TARGET, SOURCE = 2, 3, 5, 7
MAKE = {
    "soft": lambda: Soft(temperature=0.5),
    "smoothed": Smoothed,
    "sparsemax": Sparsemax,
    "entmax15": Entmax15,
    "entmax": lambda: Entmax(HEADS),
    "top_k": lambda: TopK(k=3),
    "hard": Hard,
    "straight_through": StraightThrough,
    "gumbel": lambda: Gumbel(temperature=0.7),
    "gumbel_hard": lambda: Gumbel(temperature=0.7, hard=True),
    "marginal": Marginal,
    "monotonic": lambda: Monotonic(HEADS),
    "chunkwise": lambda: Chunkwise(HEADS, window=3),
}
WALKS = ["monotonic", "chunkwise"]
every = pytest.mark.parametrize("name", MAKE)
modes = pytest.mark.parametrize("training", [False, True])


def make(name: str, training: bool) -> AnySelection:
    return MAKE[name]().train(training)


def ask(
    selection: AnySelection, scores: Tensor, visible: Tensor | None, past: Past | None = None
) -> Tensor:
    """Return the alignment; the same draws each time."""
    torch.manual_seed(11)
    if isinstance(selection, RecurrentSelection):
        walked = selection(scores, visible, past)
        return walked.alignment if isinstance(walked, Walk) else walked
    found = selection(scores, visible)
    return found.alignment if isinstance(found, Choice) else found


def some_past(dtype: torch.dtype = torch.float64) -> Past:
    previous = torch.rand(BATCH, HEADS, TARGET, SOURCE).softmax(-1).to(dtype)
    return Past(previous, previous)


def some_visible() -> Tensor:
    visible = torch.rand(BATCH, HEADS, TARGET, SOURCE) < 0.6
    visible[0, 0, 0] = False
    visible[1, 1, 1] = True
    visible[1, 2] = torch.arange(SOURCE) == 4
    return visible


@every
@modes
def test_a_row_sums_to_one_or_to_zero(name: str, training: bool) -> None:
    visible = some_visible()
    scores = 3.0 * torch.randn(BATCH, HEADS, TARGET, SOURCE)
    found = ask(make(name, training), scores, visible)
    assert found.shape == scores.shape
    assert (found[~visible] == 0).all() and (found >= 0).all()
    if name in WALKS:
        assert (found.sum(-1) <= 1 + 1e-6).all()
    else:
        torch.testing.assert_close(found.sum(-1), visible.any(-1).float())


@every
@modes
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("poison", [torch.nan, torch.inf, -torch.inf])
def test_what_is_hidden_changes_nothing(
    name: str, training: bool, dtype: torch.dtype, poison: float
) -> None:
    visible, past = some_visible(), some_past(dtype)
    clean = (3.0 * torch.randn(BATCH, HEADS, TARGET, SOURCE)).to(dtype)
    weights = torch.randn(clean.shape).to(dtype)
    selection = make(name, training)
    results: list[list[Tensor]] = []
    for hidden in (0.0, poison):
        scores = clean.masked_fill(~visible, hidden).requires_grad_()
        found = ask(selection, scores, visible, past)
        assert found.dtype == dtype
        if not found.requires_grad:
            results.append([found])
            continue
        inputs = [scores, *selection.parameters()]
        gradients = torch.autograd.grad((found * weights).sum(), inputs, materialize_grads=True)
        results.append([found, *gradients])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other) and other.isfinite().all()
    if len(results[1]) > 1:
        assert (results[1][1][~visible] == 0).all()


@every
@modes
def test_without_a_mask_is_all_visible(name: str, training: bool) -> None:
    scores = torch.randn(BATCH, HEADS, TARGET, SOURCE)
    selection = make(name, training)
    visible = torch.ones(1, 1, 1, SOURCE, dtype=torch.bool)
    assert torch.equal(ask(selection, scores, None), ask(selection, scores, visible))


@every
@modes
@pytest.mark.parametrize("shape", [(2, HEADS, 4, 0), (0, HEADS, 4, 5), (2, HEADS, 0, 5)])
def test_nothing_at_all(name: str, training: bool, shape: tuple[int, ...]) -> None:
    scores = torch.zeros(shape, requires_grad=True)
    selection = make(name, training)
    for visible in (None, torch.zeros(shape, dtype=torch.bool)):
        found = ask(selection, scores, visible)
        assert found.shape == shape
        if found.requires_grad:
            found.sum().backward()


@every
def test_permuting_keys_permutes_the_alignment(name: str) -> None:
    if name in WALKS:
        pytest.skip("a walk knows the order")
    order = torch.randperm(SOURCE)
    scores, visible = torch.randn(BATCH, HEADS, TARGET, SOURCE), some_visible()
    selection = make(name, False)
    found = ask(selection, scores, visible)
    moved = ask(selection, scores[..., order], visible[..., order])
    torch.testing.assert_close(moved, found[..., order])


@every
def test_more_padding_changes_nothing(name: str) -> None:
    scores, visible, past = torch.randn(BATCH, HEADS, TARGET, SOURCE), some_visible(), some_past()
    selection = make(name, False)
    found = ask(selection, scores, visible, past)
    wide = nn.functional.pad(scores, (0, 4), value=torch.nan)
    longer = Past(*(nn.functional.pad(x, (0, 4)) for x in (past.previous, past.accumulated)))
    padded = ask(selection, wide, nn.functional.pad(visible, (0, 4), value=False), longer)
    torch.testing.assert_close(padded[..., :SOURCE], found)
    assert (padded[..., SOURCE:] == 0).all()


@every
def test_a_batch_of_one_is_a_row_of_a_batch(name: str) -> None:
    scores, visible, past = torch.randn(BATCH, HEADS, TARGET, SOURCE), some_visible(), some_past()
    selection = make(name, False)
    found = ask(selection, scores, visible, past)
    for row, query in product(range(BATCH), range(TARGET)):
        position = slice(row, row + 1), slice(None), slice(query, query + 1)
        alone = Past(past.previous[position], past.accumulated[position])
        part = ask(selection, scores[position], visible[position], alone)
        torch.testing.assert_close(part, found[position])


SMOOTH = ["smoothed", "sparsemax", "entmax15", "entmax", "top_k", "gumbel", "marginal", *WALKS]


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients(name: str) -> None:
    visible = some_visible()[:, :, :2]
    scores = torch.randn(BATCH, HEADS, 2, SOURCE, dtype=torch.float64, requires_grad=True)
    previous = torch.rand_like(scores).softmax(-1).requires_grad_()
    selection = make(name, True).double()
    names = [name for name, _ in selection.named_parameters()]
    parameters = [p.detach().clone().requires_grad_() for p in selection.parameters()]

    def run(scores: Tensor, previous: Tensor, *parameters: Tensor) -> Tensor:
        values = dict(zip(names, parameters, strict=True))
        with nn.utils.stateless._reparametrize_module(selection, values):
            return ask(selection, scores, visible, Past(previous, previous))

    assert torch.autograd.gradcheck(run, (scores, previous, *parameters), fast_mode=True)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Gumbel, {"temperature": 0.0}, r"temperature: got 0.0, expected a finite number above 0"),
        (Soft, {"temperature": -1.0}, r"temperature: got -1.0, expected a finite number above 0"),
        (Entmax, {"alpha": 2.0}, r"alpha: got 2.0, expected a number between 1.01 and 1.99"),
        (Entmax, {"alpha": 1.0}, r"alpha: got 1.0, expected a number between 1.01 and 1.99"),
        (Entmax, {"alpha": 1.005}, r"alpha: got 1.005, expected a number between 1.01 and 1.99"),
        (Entmax, {"alpha": 1.01}, r"alpha: got 1.01, expected a number between 1.01 and 1.99"),
        (Entmax, {"alpha": 1.99}, r"alpha: got 1.99, expected a number between 1.01 and 1.99"),
        (TopK, {"k": 0}, r"k: got 0, expected a whole number of 1 or more"),
        (Monotonic, {"noise": -1.0}, r"noise: got -1.0, expected a finite number of 0 or more"),
        (Chunkwise, {"window": 0}, r"window: got 0, expected a whole number of 1 or more"),
    ],
)
def test_options_out_of_range(kind: type[nn.Module], options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**options)
