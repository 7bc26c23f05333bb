import re
from typing import Any

import pytest
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention import (
    RELATIVES,
    SCOPES,
    SCORES,
    SELECTIONS,
    Attention,
    MultiHeadAttention,
    Positions,
    Scope,
    Score,
    Selection,
    build,
)
from kochi.attention.relative import Rotary
from kochi.attention.scores import Dot
from kochi.attention.selections import Soft, Sparsemax
from tests.covering import pairwise_product


def test_names() -> None:
    assert tuple(SCORES) == (
        "dot",
        "scaled_dot",
        "general",
        "cosine",
        "additive",
        "location",
        "location_aware",
    )
    assert tuple(SCOPES) == ("global", "causal", "sliding_window", "local_m", "local_p", "coverage")
    assert tuple(RELATIVES) == ("shaw", "t5", "alibi", "rotary")
    assert tuple(SELECTIONS) == (
        "soft",
        "smoothed",
        "sparsemax",
        "entmax15",
        "entmax",
        "top_k",
        "hard",
        "straight_through",
        "gumbel",
        "marginal",
        "monotonic",
        "chunkwise",
    )


@pairwise_product(score=SCORES, scope=SCOPES, selection=SELECTIONS, heads=(1, 2))
def test_all_combine(score: str, scope: str, selection: str, heads: int) -> None:
    module = build(score, scope, selection, query_size=4, memory_size=4, num_heads=heads)
    assert type(module) is (Attention if heads == 1 else MultiHeadAttention)
    output = module(torch.randn(2, 3, 4), module.project(torch.randn(2, 5, 4)))
    assert output.context.shape == (2, 3, module.context_size)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("score", SCORES)
def test_all_combine_in_16_bits(score: str, scope: str) -> None:
    module = build(score, scope, query_size=4, memory_size=4, num_heads=2)
    query, memory = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    with torch.autocast("cpu", torch.bfloat16):
        context = module(query, module.project(memory)).context
    for gradient in torch.autograd.grad(context.float().sum(), list(module.parameters())):
        assert gradient.isfinite().all()
    module.bfloat16()
    context = module(query.bfloat16(), module.project(memory.bfloat16())).context
    assert context.dtype == torch.bfloat16


@pytest.mark.parametrize("relative", RELATIVES)
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("score", ["dot", "scaled_dot", "general", "cosine"])
def test_relative_terms_combine_with_dot_products(score: str, scope: str, relative: str) -> None:
    module = build(score, scope, query_size=4, memory_size=4, num_heads=2, relative=relative)
    query, memory = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    output = module(query, module.project(memory), need_alignment=True)
    assert output.alignment is not None
    assert output.alignment.shape == (2, 2, 3, 5)
    with torch.autocast("cpu", torch.bfloat16):
        output = module(query, module.project(memory))
    output.context.float().sum().backward()
    output = module.bfloat16()(query.bfloat16(), module.project(memory.bfloat16()))
    assert output.context.dtype == torch.bfloat16


@pytest.mark.parametrize("relative", ["t5", "alibi"])
@pytest.mark.parametrize("kernel", ["reference", "blocked"])
def test_a_number_for_each_distance_is_added_to_any_score(relative: str, kernel: str) -> None:
    sizes: dict[str, Any] = {"query_size": 4, "memory_size": 4, "num_heads": 2, "kernel": kernel}
    module = build("additive", relative=relative, **sizes)
    assert module.relative is not None
    for parameter in module.relative.parameters():
        parameter.data.normal_()
    query, memory = torch.randn(2, 3, 4), module.project(torch.randn(2, 5, 4))
    found = module(query, memory, need_alignment=True).alignment
    term = module.relative(
        query.unflatten(2, (2, 2)).transpose(1, 2), Positions(3, 5, query.device)
    )
    module.relative = None
    plain = module(query, memory, need_alignment=True).alignment
    assert found is not None and plain is not None
    torch.testing.assert_close(found, (plain.log() + term).softmax(-1))


@pytest.mark.parametrize("relative", ["shaw", "rotary"])
@pytest.mark.parametrize("score", ["additive", "location", "location_aware"])
def test_relative_terms_are_terms_of_a_dot_product(score: str, relative: str) -> None:
    with pytest.raises(ValueError, match=r"dot product, which the score \w+ is not; use 'dot', "):
        build(score, query_size=4, memory_size=4, num_heads=2, relative=relative)


def test_refusals_of_relative_terms() -> None:
    sizes: dict[str, Any] = {"query_size": 4, "memory_size": 4}
    with pytest.raises(ValueError, match=r"relative: 'rotary' rotates .* use build_multihead"):
        build("dot", relative="rotary", **sizes)
    with pytest.raises(ValueError, match=r"relative 'rotary': got the option 'bas', expected"):
        build("dot", relative={"kind": "rotary", "bas": 7}, num_heads=2, **sizes)
    with pytest.raises(ValueError, match=r"relative: got 'sinus', expected .*'alibi', 'rotary'"):
        build("dot", relative="sinus", **sizes)
    with pytest.raises(ValueError, match=r"relative 'alibi': got the option 'slope', expected non"):
        build("dot", relative={"kind": "alibi", "slope": 7}, **sizes)
    build("dot", relative="t5", kernel="sdpa", **sizes)
    with pytest.raises(ValueError, match=r"kernel: 'banded' cannot serve: .*relative"):
        build("dot", "sliding_window", relative="t5", kernel="banded", **sizes)


def test_sizes_of_one_head() -> None:
    module = build({"kind": "additive", "hidden_size": 5}, query_size=3, memory_size=7)
    assert module.context_size == 7
    assert {name: list(p.shape) for name, p in module.named_parameters()} == {
        "score.query_weight": [1, 5, 3],
        "score.key_weight": [1, 5, 7],
        "score.vector": [1, 5],
    }
    assert [p.shape for p in build("general", query_size=3, memory_size=7).parameters()] == [
        (1, 7, 3)
    ]


@pytest.mark.usefixtures("shapes_unchecked")
def test_refusals() -> None:
    sizes: dict[str, Any] = {"query_size": 4, "memory_size": 4}
    no_selection: Any = Dot(4, 4)
    with pytest.raises(ValueError, match=r"score: got 'concat', expected one of 'dot', 'scaled"):
        build("concat", **sizes)
    with pytest.raises(ValueError, match=r"scope: got 'all', expected one of 'global', 'causal'"):
        build("dot", "all", **sizes)
    with pytest.raises(ValueError, match=r"selection: got 'sharp', expected one of 'soft'"):
        build("dot", "global", "sharp", **sizes)
    with pytest.raises(ValueError, match=r"score: 'dot' needs query_size == memory_size, got quer"):
        build("dot", query_size=4, memory_size=6)
    with pytest.raises(ValueError, match=r"num_heads: 3 does not divide query_size=4"):
        build("dot", num_heads=3, **sizes)
    with pytest.raises(ValueError, match=r"num_heads: got 0, expected a whole number of 1 or more"):
        build("dot", num_heads=0, **sizes)
    with pytest.raises(ValueError, match=r"score 'dot': got the option 'hidden_size'"):
        build({"kind": "dot", "hidden_size": 7}, **sizes)
    with pytest.raises(
        ValueError, match=r"selection: got a Dot, expected a Selection or Recurrent"
    ):
        build("dot", "global", no_selection, **sizes)
    with pytest.raises(ValueError, match=r"dropout: got 1.0, expected a fraction"):
        build("dot", dropout=1.0, **sizes)


class NegativeDistance(Score):
    """A score of one's own."""

    def forward(
        self,
        query: Float[Tensor, "batch heads target size"],
        keys: Float[Tensor, "batch heads source size"],
    ) -> Float[Tensor, "batch heads target source"]:
        return -torch.cdist(query, keys)


class EverySecond(Scope):
    """A scope of one's own."""

    def forward(self, positions: Positions) -> Bool[Tensor, "target source"]:
        return (positions.queries() - positions.keys()) % 2 == 0


class Sharpest(Selection):
    """A selection of one's own."""

    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        if visible is not None:
            scores = scores.masked_fill(~visible, -torch.inf)
        best = torch.zeros_like(scores).scatter(-1, scores.argmax(-1, keepdim=True), 1.0)
        return best if visible is None else best * visible


@pytest.mark.parametrize("heads", [1, 2])
def test_parts_of_ones_own(heads: int) -> None:
    module = build(
        NegativeDistance(),
        EverySecond(),
        Sharpest(),
        query_size=4,
        memory_size=4,
        num_heads=heads,
    )
    memory = torch.randn(1, 6, 4)
    context, alignment, _ = module(memory[:, :3], module.project(memory), need_alignment=True)
    assert "NegativeDistance" in module.explain()
    assert alignment is not None
    if heads == 1:  # the nearest position is itself, and it may be seen
        torch.testing.assert_close(context, memory[:, :3])
    assert (alignment[..., 0, 1::2] == 0).all()
    assert (alignment.sum(-1) == 1).all()


def test_a_selection_of_ones_own_is_not_sdpa() -> None:
    with pytest.raises(ValueError, match=r"'sdpa' cannot serve: the selection Sharpest is not"):
        build("dot", "global", Sharpest(), query_size=4, memory_size=4, kernel="sdpa")
    module = build("dot", "global", Sharpest(), query_size=4, memory_size=4)
    assert module.explain().startswith("kernel 'reference': the selection Sharpest")


def test_what_replaces_a_component_is_checked_like_what_is_built() -> None:
    module = build("dot", "causal", query_size=4, memory_size=4, num_heads=2, relative="shaw")
    additive = build("additive", query_size=2, memory_size=2).score
    before = module.parts
    for name, value, message in (
        ("score", additive, "relative: Shaw needs a dot product, which the score Additive is not"),
        ("score", Soft(), "score: got a Soft, expected a Score or RecurrentScore"),
        ("scope", None, "scope: got a NoneType, expected a Scope or PredictedScope or Recurrent"),
        ("relative", Rotary(2), "relative: rotary positions are no term of the score; set `rot"),
        ("dropout", 1.0, "dropout: got 1.0, expected a fraction from 0 to below 1"),
        ("kernel", "fast", "kernel: got 'fast', expected one of 'auto'"),
        ("kernel", "blocked", "kernel: 'blocked' cannot serve: "),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            setattr(module, name, value)
    assert module.parts is before and module.dropout == 0.0 and module.kernel == "auto"
    module.kernel = "sdpa"
    with pytest.raises(ValueError, match="kernel: 'sdpa' cannot serve: the selection Sparsemax"):
        module.selection = Sparsemax()
    module.relative, module.kernel = None, "auto"
    module.score, module.selection = additive, Sparsemax()
    assert module.parts.score is module.score is additive
    module(torch.randn(2, 3, 4), module.project(torch.randn(2, 3, 4)))


def test_rotary_positions_keep_their_dot_product() -> None:
    module = build("dot", query_size=4, memory_size=4, num_heads=2, relative="rotary")
    with pytest.raises(ValueError, match="rotary: rotary positions need a dot product"):
        module.score = build("additive", query_size=2, memory_size=2).score
