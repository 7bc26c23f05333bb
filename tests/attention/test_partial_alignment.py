"""The alignment of some queries and heads, by every kernel."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kochi.attention import START, AlignmentOf, Attention, MultiHeadAttention, build
from kochi.attention.kernels.dispatch import KERNELS, refusal
from tests.covering import pairwise

BATCH, LENGTH, SIZE, HEADS = 2, 11, 12, 3
WINDOW = {"kind": "sliding_window", "left": 2, "right": 1}
IN_32_BITS = "triton"  # and without dropout
Module = Attention | MultiHeadAttention


def make(score: str, scope: Any, selection: Any = "soft", **options: Any) -> Module:
    torch.manual_seed(3)
    sizes = {"query_size": SIZE, "memory_size": SIZE}
    return build(score, scope, selection, **sizes, **options).double()


CASES = [
    (score, scope, relative, kernel)
    for score, scope, relative in [
        *(("scaled_dot", scope, None) for scope in ("global", "causal", "local_p")),
        ("cosine", "causal", "shaw"),
        ("dot", "causal", "alibi"),
        ("scaled_dot", WINDOW, None),
        ("dot", WINDOW, "t5"),
        ("additive", "causal", None),
        ("additive", WINDOW, None),
    ]
    for kernel in ("auto", *KERNELS)
    if kernel != "flex"  # see test_flex.py
    if kernel == "auto" or refusal(kernel, make(score, scope, relative=relative).parts) is None
]
WANTED = [
    AlignmentOf(),
    AlignmentOf(queries=[7, 2, -1]),
    AlignmentOf(heads=[2, 0]),
    AlignmentOf(queries=slice(1, 9, 3), heads=slice(1, None)),
    AlignmentOf(queries=[4, 4], heads=range(2)),
    AlignmentOf(queries=[]),
]


def expected_of(alignment: Tensor | None, wanted: AlignmentOf) -> Tensor:
    """Pick as a list in Python does."""
    assert alignment is not None
    for dim, given in ((-2, wanted.queries), (-3, wanted.heads)):
        if given is None or (dim == -3 and alignment.dim() == 3):
            continue
        every = list(range(alignment.shape[dim]))
        chosen = every[given] if isinstance(given, slice) else [every[i] for i in given]
        alignment = alignment.index_select(dim, torch.tensor(chosen, dtype=torch.long))
    return alignment


def with_parts() -> list[Any]:
    """Return the cases with the parts wanted, pairwise; triton is slow where it is interpreted."""
    rows = [(*case, wanted) for case in CASES for wanted in WANTED]
    interpreted = [row for row in rows if row[3] == IN_32_BITS]
    quick = interpreted[1 :: len(WANTED)]
    found = pairwise(row for row in rows if row not in interpreted)
    for row in interpreted:
        found.append(pytest.param(*row, marks=() if row in quick else pytest.mark.slow))
    return found


@pytest.mark.parametrize(("score", "scope", "relative", "kernel", "wanted"), with_parts(), ids=str)
def test_it_is_that_part_of_the_whole(
    score: str, scope: Any, relative: str | None, kernel: str, wanted: AlignmentOf
) -> None:
    bare = kernel == IN_32_BITS
    options = {"relative": relative, "kernel": kernel, "num_heads": HEADS}
    dtype = torch.float32 if bare else torch.float64
    module = make(score, scope, dropout=0.0 if bare else 0.5, **options).to(dtype)
    query = torch.randn(BATCH, LENGTH, SIZE, dtype=dtype)
    memory = torch.randn(BATCH, LENGTH, SIZE, dtype=dtype)
    mask = torch.arange(LENGTH) < torch.tensor([[LENGTH], [6]])
    broken = memory.clone()
    broken[0, 3] = torch.nan
    for values, hidden in ((memory, mask), (memory, None), (broken, None)):
        projected, outputs = module.project(values, hidden), []
        for need in (False, True, wanted):
            torch.manual_seed(5)
            outputs.append(module(query, projected, need_alignment=need))
        silent, whole, some = outputs
        torch.testing.assert_close(some.context, silent.context, rtol=0, atol=0, equal_nan=True)
        expected = expected_of(whole.alignment, wanted)
        torch.testing.assert_close(some.alignment, expected, equal_nan=True)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("heads", [1, HEADS])
@pytest.mark.parametrize(
    ("score", "scope", "selection"),
    [
        ("location_aware", "global", "soft"),
        ("dot", "coverage", "soft"),
        ("dot", "global", "monotonic"),
        ("location_aware", "coverage", "chunkwise"),
        ("dot", "global", "hard"),
        ("dot", "global", "gumbel"),
        ("location_aware", "global", "hard"),
    ],
)
def test_parts_that_look_back_or_draw(
    score: str, scope: str, selection: str, heads: int, together: bool
) -> None:
    module = make(score, scope, selection, num_heads=heads)
    query = torch.randn(BATCH, 5, SIZE, dtype=torch.float64)
    projected = module.project(torch.randn(BATCH, 7, SIZE, dtype=torch.float64))
    for wanted in (AlignmentOf([3, 0]), AlignmentOf(), AlignmentOf([]), AlignmentOf([2], [0])):
        outputs = []
        for need in (False, True, wanted):
            torch.manual_seed(5)
            outputs.append(
                module.step(query, projected, START, need_alignment=need)
                if together
                else module(query, projected, need_alignment=need)
            )
        silent, whole, some = outputs
        assert silent.alignment is None
        assert torch.equal(some.context, silent.context)
        assert torch.equal(some.alignment, expected_of(whole.alignment, wanted))
        if whole.state.draws is not None:
            assert torch.equal(some.state.draws[0], whole.state.draws[0])
        if whole.state.past is not None:
            assert torch.equal(some.state.past.accumulated, whole.state.past.accumulated)


class Largest(TorchDispatchMode):
    """Keep the number of elements of the largest tensor that any operation returned."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return found


@pytest.mark.parametrize(
    ("scope", "kernel"),
    [("global", "sdpa"), ("causal", "sdpa"), (WINDOW, "banded")],
)
def test_few_rows_of_many_are_cheap(scope: Any, kernel: str) -> None:
    """No tensor is larger than what the call makes without an alignment."""
    length = 3000
    module = make("dot", scope, num_heads=HEADS, kernel=kernel).float()
    values = torch.randn(1, length, SIZE)
    sizes = []
    for need in (False, AlignmentOf([0, 17, -1], [1]), True):
        with Largest() as largest, torch.no_grad():
            module(values, module.project(values), need_alignment=need)
        sizes.append(largest.numbers)
    silent, some, whole = sizes
    assert some == silent
    assert whole == HEADS * length**2
    shapes = []
    module.score.register_forward_hook(lambda *call: shapes.append(call[2].shape))
    module(values, module.project(values), need_alignment=AlignmentOf([0, 17, -1], [1]))
    assert shapes == [(1, 1, 3, length)]


def test_one_head_and_gradients() -> None:
    module = make("scaled_dot", "causal", kernel="sdpa")
    query = torch.randn(BATCH, 5, SIZE, dtype=torch.float64, requires_grad=True)
    projected = module.project(torch.randn(BATCH, 7, SIZE, dtype=torch.float64))
    wanted = AlignmentOf([1, 3], heads=[-1])
    some = module(query, projected, need_alignment=wanted).alignment
    whole = module(query, projected, need_alignment=True).alignment
    assert some is not None and whole is not None
    whole = whole[:, [1, 3]]
    assert some.shape == (BATCH, 2, 7)
    gradients = [torch.autograd.grad(found.square().sum(), query)[0] for found in (some, whole)]
    torch.testing.assert_close(*gradients)
    assert gradients[0][:, 1].abs().sum() > 0
    assert (gradients[0][:, [0, 2, 4]] == 0).all()


@pytest.mark.usefixtures("shapes_unchecked")
def test_what_is_no_part_is_refused() -> None:
    for given in ([0.5], "03", [True], 3, torch.tensor([1])):
        wrong: Any = given
        for name in ("queries", "heads"):
            with pytest.raises(ValueError, match=rf"need_alignment: got {name}=.*, expected a sl"):
                AlignmentOf(**{name: wrong})
    query, memory = torch.zeros(1, 5, SIZE).double(), torch.zeros(1, 7, SIZE).double()
    for module in (
        make("dot", "global", num_heads=HEADS),
        make("dot", "coverage", num_heads=HEADS),
    ):
        projected = module.project(memory)
        message = (
            r"need_alignment: got queries=\[0, 5\], expected indices from -5 to 4: there are 5"
        )
        with pytest.raises(ValueError, match=message):
            module(query, projected, need_alignment=AlignmentOf([0, 5]))
        message = r"need_alignment: got heads=\[-4\], expected indices from -3 to 2"
        with pytest.raises(ValueError, match=message):
            module(query, projected, need_alignment=AlignmentOf(heads=[-4]))
        message = r"need_alignment: got queries=\[0\], expected none: there are 0"
        with pytest.raises(ValueError, match=message):
            module(query[:, :0], projected, need_alignment=AlignmentOf([0]))
        wrong = [0, 1]
        message = r"need_alignment: got \[0, 1\], expected True, False or an AlignmentOf"
        with pytest.raises(ValueError, match=message):
            module(query, projected, need_alignment=wrong)
        with pytest.raises(ValueError, match=message):
            module.step(query, projected, START, need_alignment=wrong)
    module = make("dot", "global")
    with pytest.raises(ValueError, match=r"need_alignment: got heads=\(0, 0\), expected None or"):
        module(query, module.project(memory), need_alignment=AlignmentOf(heads=[0, 0]))
