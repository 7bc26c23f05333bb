"""Every mechanism under the tools that PyTorch users apply to a module.

Compilation and export are tested by test_compiled.py, in a process of their own.
"""

import copy
import pickle
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, jvp, vmap
from torch.nn.utils import prune
from torch.utils.checkpoint import checkpoint

from kochi.attention import AttentionOutput, AttentionState, ProjectedMemory, build
from kochi.attention.arguments import check_projected, check_vectors
from kochi.attention.attend import AttentionBase
from kochi.attention.kernels import triton_additive
from kochi.attention.kernels.base import AttentionMask
from kochi.attention.scores.additive import Additive
from kochi.attention.selections.entmax import entmax
from kochi.attention.selections.entmax15 import entmax15
from kochi.attention.selections.sparsemax import sparsemax
from kochi.products import Linear
from tests.attention.compiling import MECHANISMS, SIZE, Components, make

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script`"),  # torch.func.jvp calls it
    pytest.mark.filterwarnings("ignore:There is a performance drop"),  # vmap has no rule for unfold
]
SOURCE = 5
MASK = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
every_mechanism = pytest.mark.parametrize(
    "parts", MECHANISMS, ids=["-".join(part for part in parts if part) for parts in MECHANISMS]
)


class Whole(nn.Module):
    """Project and attend in one call."""

    def __init__(self, attend: AttentionBase) -> None:
        super().__init__()
        self.attend = attend

    def forward(self, query: Tensor, memory: Tensor, mask: Tensor = MASK) -> Tensor:
        projected = self.attend.project(memory, mask)
        return self.attend(query, projected, need_alignment=True).context


def setup(parts: Components) -> tuple[Whole, Tensor, Tensor]:
    module = Whole(make(parts).eval())
    target = SOURCE if parts[4] == "banded" else 3
    query = torch.randn(2, target, SIZE, dtype=torch.float64)
    return module, query, torch.randn(2, SOURCE, SIZE, dtype=torch.float64)


@every_mechanism
def test_gradients_of_torch_func(parts: Components) -> None:
    module, query, memory = setup(parts)
    weights: dict[str, Tensor] = dict(module.named_parameters())

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return functional_call(module, weights, (query, memory)).cos().sum()

    found = grad(loss)(weights)
    if weights:
        wanted = torch.autograd.grad(
            module(query, memory).cos().sum(), list(weights.values()), materialize_grads=True
        )
        torch.testing.assert_close(list(found.values()), list(wanted))


@every_mechanism
def test_gradients_of_each_sentence(parts: Components) -> None:
    module, query, memory = setup(parts)

    def loss(query: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        return module(query[None], memory[None], mask[None]).cos().sum()

    found = vmap(grad(loss, (0, 1)))(query, memory, MASK)
    inputs = query.clone().requires_grad_(), memory.clone().requires_grad_()
    wanted = torch.autograd.grad(module(*inputs).cos().sum(), inputs, materialize_grads=True)
    torch.testing.assert_close(found, wanted)


@every_mechanism
def test_jacobians(parts: Components) -> None:
    module, query, memory = setup(parts)
    direction = torch.randn_like(memory)
    whole = jacrev(lambda memory: module(query, memory))(memory)
    along = jvp(lambda memory: module(query, memory), (memory,), (direction,))[1]
    torch.testing.assert_close(along, torch.einsum("btocsi,csi->bto", whole, direction))
    step = 1e-6 * direction
    with torch.no_grad():
        slope = (module(query, memory + step) - module(query, memory - step)) / 2e-6
    if parts[2] not in ("straight_through", "hard"):  # the gradient is not that of the value
        torch.testing.assert_close(along, slope, rtol=1e-4, atol=1e-6)


@every_mechanism
def test_second_derivatives(parts: Components) -> None:
    """A gradient penalty: Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028.

    What a backward pass saves beside arguments and results is constant to a second one, which then
    is wrong without an error: https://github.com/pytorch/pytorch/issues/58509
    """
    if parts[2] == "straight_through":
        return  # its gradient is not the derivative of what it returns
    module, query, memory = setup(parts)

    def penalty(memory: Tensor, create_graph: bool) -> Tensor:
        memory = memory if memory.requires_grad else memory.clone().requires_grad_()
        loss = module(query, memory).sin().sum()
        (slope,) = torch.autograd.grad(loss, memory, create_graph=create_graph)
        return (slope * slope.cos()).sum()

    start = memory.clone().requires_grad_()
    (found,) = torch.autograd.grad(penalty(start, True), start)
    direction = torch.randn_like(memory)
    step = 1e-6 * direction
    slope = (penalty(memory + step, False) - penalty(memory - step, False)) / 2e-6
    torch.testing.assert_close((found * direction).sum(), slope, rtol=1e-4, atol=1e-6)


@every_mechanism
def test_copies(parts: Components) -> None:
    module, query, memory = setup(parts)
    wanted = module(query, memory)
    for one in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        torch.testing.assert_close(one(query, memory), wanted, rtol=0, atol=0)


@every_mechanism
def test_the_meta_device(parts: Components) -> None:
    """Buffers outside of the state dict come back as rubbish.

    As in https://github.com/huggingface/transformers/pull/48932
    """
    module, query, memory = setup(parts)
    wanted, state = module(query, memory), module.state_dict()
    with torch.device("meta"):
        assigned, emptied = Whole(make(parts).eval()), Whole(make(parts).eval())
    shape = emptied(query.to("meta"), memory.to("meta"), MASK.to("meta")).shape
    assert shape == wanted.shape
    assigned.load_state_dict(state, strict=True, assign=True)
    emptied.to_empty(device="cpu").load_state_dict(state)
    for one in (assigned, emptied):
        torch.testing.assert_close(one(query, memory), wanted, rtol=0, atol=0)


@every_mechanism
def test_nothing_at_all(parts: Components) -> None:
    module, query, memory = setup(parts)
    for batch, target, source in ((0, 3, 5), (2, 0, 5), (2, 3, 0), (2, 0, 0)):
        if parts[4] == "banded" and target != source:
            continue
        one = query[:batch, :target], memory[:batch, :source], MASK[:batch, :source]
        assert module(*one).shape == (batch, target, SIZE)


@every_mechanism
def test_checkpoints_of_activations(parts: Components) -> None:
    module, query, memory = setup(parts)
    gradients: list[Tensor] = []
    for run in (module, lambda *args: checkpoint(module, *args, use_reentrant=False)):
        start = memory.clone().requires_grad_()
        cast("Callable[..., Tensor]", run)(query, start).sin().sum().backward()
        assert start.grad is not None
        gradients.append(start.grad)
    torch.testing.assert_close(*gradients, rtol=0, atol=0)


@every_mechanism
def test_pruned_weights_are_read_after_each_step(parts: Components) -> None:
    module, query, memory = setup(parts)
    pruned: list[nn.Parameter] = []
    for owner in list(module.modules()):
        for name, weight in list(owner.named_parameters(recurse=False)):
            if weight.numel() > 1:
                prune.l1_unstructured(owner, name, amount=0.5)
                pruned.append(getattr(owner, name + "_orig"))
    module(query, memory)
    with torch.no_grad():
        for weight in pruned:
            weight.mul_(3.0).add_(0.1)
    first, second = module(query, memory), module(query, memory)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("length", [2, 7, 100, 3000])
@pytest.mark.parametrize("spread", [0.01, 1.0, 10.0])
def test_sparse_selections_without_reading_a_number(length: int, spread: float) -> None:
    """Under a transform, thresholds come from sorting, or from a fixed number of steps."""
    torch.manual_seed(0)
    scores = spread * torch.randn(20, length)
    selections: list[Callable[[Tensor], Tensor]] = [
        lambda scores: sparsemax(scores, None),
        lambda scores: entmax15(scores, None),
        *(
            lambda scores, alpha=alpha: entmax(scores, None, torch.full((1,), alpha))
            for alpha in (1.02, 1.5, 1.98)
        ),
    ]
    for select in selections:
        torch.testing.assert_close(vmap(select)(scores), select(scores), rtol=0, atol=1e-6)


def test_the_formula_of_the_triton_kernel() -> None:
    """Its second derivatives come from it; runs without Triton."""
    attend = build("additive", "causal", query_size=8, memory_size=8, kernel="reference").double()
    query, memory = (torch.randn(2, 5, 8, dtype=torch.float64) for _ in range(2))
    projected = attend.project(memory, MASK)
    keys, values = projected.keys, projected.values
    heads = attend.score.project_query(query.unsqueeze(1))
    visible = AttentionMask(MASK[:, None, None], triangle=True)
    sight = triton_additive._Sight.of(heads, keys, visible)
    weight = cast(Additive, attend.score).weight
    context = triton_additive._formula(heads, keys, weight, values, sight)
    torch.testing.assert_close(context.squeeze(1), attend(query, projected).context)


def test_hooks_on_a_score_see_scores() -> None:
    attend = build("additive", query_size=8, memory_size=8)
    shapes: list[torch.Size] = []
    attend.score.register_forward_hook(lambda module, args, scores: shapes.append(scores.shape))
    attend(torch.randn(2, 3, 8), attend.project(torch.randn(2, 5, 8)))
    assert shapes == [(2, 1, 3, 5)]


def test_hooks_run_for_every_way_to_call_a_module() -> None:
    torch.manual_seed(0)
    attend = build("scaled_dot", query_size=8, memory_size=8, num_heads=2)
    seen: list[tuple[str, int]] = []
    attend.register_forward_pre_hook(lambda module, args: seen.append(("before", len(args))))
    attend.register_forward_hook(
        lambda module, args, kwargs, output: seen.append((type(output).__name__, len(kwargs))),
        with_kwargs=True,
    )
    x = torch.randn(2, 4, 8)
    projected = attend.project(x, mask=None)
    attend.step(x, projected, AttentionState())
    attend(x, projected)
    assert [name for name, _ in seen] == [
        *("before", ProjectedMemory.__name__),
        *("before", AttentionOutput.__name__),
        *("before", AttentionOutput.__name__),
    ]
    assert seen[1][1] == 1  # the mask was given by name

    def doubled(module: nn.Module, args: Any, output: AttentionOutput) -> AttentionOutput:
        return output._replace(context=2.0 * output.context)

    plain = attend(x, projected).context
    attend.register_forward_hook(cast(Any, doubled))
    torch.testing.assert_close(attend.step(x, projected, AttentionState()).context, 2.0 * plain)


class LowRank(nn.Module):
    """Add a product of two thin matrices to a layer: Hu et al. 2021 (LoRA), section 4.1."""

    def __init__(self, layer: Linear) -> None:
        super().__init__()
        self.layer = layer
        self.down = nn.Parameter(torch.randn(2, layer.in_features))
        self.up = nn.Parameter(torch.randn(layer.out_features, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + x @ self.down.T @ self.up.T


def test_wrapped_projections_are_called() -> None:
    torch.manual_seed(0)
    attend = cast(Any, build("scaled_dot", query_size=8, memory_size=8, num_heads=2))
    x = torch.randn(2, 4, 8)
    before = attend(x, attend.project(x)).context
    for name in ("query_proj", "memory_proj", "output_proj"):
        setattr(attend, name, LowRank(getattr(attend, name)))
    after = attend(x, attend.project(x)).context
    assert not torch.allclose(after, before)
    query, projected = attend.project_self(x)
    torch.testing.assert_close(attend.attend_heads(query, projected).context, after)


def test_likely_mistakes_are_one_sentence() -> None:
    attend = build("general", query_size=8, memory_size=8)
    query, memory = torch.randn(5, 2, 8), torch.randn(2, 4, 8)
    # The shape checks of the tests would refuse these three before.
    with pytest.raises(ValueError, match=r"attend\(query, attend\.project\(memory\)\)"):
        check_projected(memory, torch.nn.Identity())
    with pytest.raises(ValueError, match=r"numpy\.ndarray.*torch\.as_tensor"):
        check_vectors("memory_values", memory.numpy())
    with pytest.raises(ValueError, match=r"torch\.int64.*embedded"):
        check_vectors("query", torch.zeros(2, 4, 8, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"query\.transpose\(0, 1\)"):
        attend(query, attend.project(memory))
    padding = torch.tensor([[False] * 4, [False, False, True, True]])
    with pytest.warns(UserWarning, match="pass ~mask"):
        attend.project(memory, padding)
    attend.project(memory, ~padding)
