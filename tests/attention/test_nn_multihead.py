"""The drop-in equals `torch.nn.MultiheadAttention`, and weights convert both ways."""

import copy
import re
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kochi.attention import (
    MultiHeadAttention,
    MultiheadAttention,
    build_multihead,
    from_torch,
    to_torch,
)
from tests.covering import covering

BATCH, TARGET, SOURCE, SIZE, HEADS = 3, 4, 5, 8, 2


MISMATCHED = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def padding(kind: str) -> Tensor | None:
    hidden = torch.arange(SOURCE) >= torch.tensor([[5], [3], [4]])
    if kind == "float":
        return numbers(BATCH, SOURCE).masked_fill(hidden, -torch.inf)
    return hidden if kind == "bool" else None


def mask_of(kind: str, target: int) -> Tensor | None:
    each = (BATCH * HEADS,) if kind.endswith("each") else ()
    hidden = torch.rand(*each, target, SOURCE) < 0.3
    hidden[..., 0] = False
    if kind.startswith("float"):
        return numbers(*hidden.shape).masked_fill(hidden, -torch.inf)
    return hidden if kind else None


def same_weights(**options: Any) -> tuple[nn.MultiheadAttention, MultiheadAttention]:
    torch.manual_seed(3)
    judge = nn.MultiheadAttention(SIZE, HEADS, dtype=torch.float64, **options)
    for parameter in judge.parameters():  # biases too
        nn.init.normal_(parameter)
    ours = MultiheadAttention(SIZE, HEADS, dtype=torch.float64, **options)
    ours.load_state_dict(judge.state_dict())
    return judge, ours


SHARED = {  # which of the tensors are one
    "all": ("key", "key", "key"),
    "memory": ("query", "key", "key"),
    "none": ("query", "key", "value"),
    "sizes": ("query", "key", "value"),
}
CASES = product(
    SHARED,
    ("batch_first", "length_first", "single"),
    (True, False),
    ((), ("add_bias_kv",), ("add_zero_attn",), ("add_bias_kv", "add_zero_attn")),
    ("", "bool", "float"),
    ("", "bool", "float", "bool for each", "float for each"),
    ("mean", "each", "none"),
)


@MISMATCHED
@pytest.mark.parametrize(
    ("shared", "layout", "bias", "append", "pad", "kind", "weights"),
    sorted(covering(list(CASES)), key=str),
)
def test_equals_pytorch(
    shared: str, layout: str, bias: bool, append: tuple[str], pad: str, kind: str, weights: str
) -> None:
    sizes = {"kdim": 6, "vdim": 7} if shared == "sizes" else {}
    options = {"batch_first": layout == "batch_first", "bias": bias, **dict.fromkeys(append, True)}
    judge, ours = same_weights(**options, **sizes)
    target = SOURCE if shared == "all" else TARGET
    given = {
        "query": numbers(BATCH, target, SIZE),
        "key": numbers(BATCH, SOURCE, ours.kdim),
        "value": numbers(BATCH, SOURCE, ours.vdim),
    }
    hidden, mask = padding(pad), mask_of(kind, target)
    if layout == "single":
        given = {name: one[1] for name, one in given.items()}
        hidden = None if hidden is None else hidden[1]
        mask = mask[:HEADS] if mask is not None and mask.dim() == 3 else mask
    elif layout == "length_first":
        given = {name: one.transpose(0, 1) for name, one in given.items()}
    results = []
    for module in (judge, ours):
        leaves = {name: one.clone().requires_grad_() for name, one in given.items()}
        query, key, value = (leaves[name] for name in SHARED[shared])
        rest: Any = {"need_weights": weights != "none", "average_attn_weights": weights == "mean"}
        output, found = module(query, key, value, hidden, attn_mask=mask, **rest)
        weighted = output * torch.arange(output.numel()).view(output.shape).cos()
        learned = [leaves[name] for name in sorted(set(SHARED[shared]))]
        learned += list(module.parameters())
        results.append([output, found, *torch.autograd.grad(weighted.sum(), learned)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_same_state_dict_and_same_draws() -> None:
    every: list[dict[str, Any]] = [{}, {"bias": False}, {"kdim": 3}, {"add_bias_kv": True}]
    for options in every:
        torch.manual_seed(1)
        judge = nn.MultiheadAttention(SIZE, HEADS, **options)
        torch.manual_seed(1)
        ours = MultiheadAttention(SIZE, HEADS, **options)
        assert list(ours.state_dict()) == list(judge.state_dict())
        for one, other in zip(ours.parameters(), judge.parameters(), strict=True):
            assert torch.equal(one, other)
        judge.load_state_dict(ours.state_dict(), strict=True)
        torch.manual_seed(1)
        ours.reset_parameters()
        for one, other in zip(ours.parameters(), judge.parameters(), strict=True):
            assert torch.equal(one, other)


@MISMATCHED
@pytest.mark.parametrize("hint", [True, False])
@pytest.mark.parametrize("pad", ["", "bool"])
def test_causal(hint: bool, pad: str) -> None:
    judge, ours = same_weights(batch_first=True)
    x, hidden = numbers(BATCH, SOURCE, SIZE), padding(pad)
    mask = nn.Transformer.generate_square_subsequent_mask(SOURCE, dtype=torch.float64)
    if hidden is not None:
        hidden[:, 0] = False
    for need in (True, False):
        expected = judge(x, x, x, hidden, need, mask, is_causal=hint)
        found = ours(x, x, x, hidden, need, mask, is_causal=hint)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(ours(x, x, x, hidden, need, is_causal=True), expected)


def test_a_query_that_may_see_nothing_and_nan_in_padding() -> None:
    _, ours = same_weights(batch_first=True)
    x = numbers(BATCH, SOURCE, SIZE)
    hidden = torch.arange(SOURCE) >= torch.tensor([[5], [3], [0]])
    broken = x.masked_fill(hidden.unsqueeze(-1), torch.nan)
    output, weights = ours(broken, broken, broken, hidden)
    expected, _ = ours(x, x, x, hidden)
    torch.testing.assert_close(output[~hidden], expected[~hidden])
    assert weights is not None and (weights[2] == 0.0).all()
    torch.testing.assert_close(output[2], ours.out_proj.bias.expand(SOURCE, -1))
    for gradient in torch.autograd.grad(output.sum(), list(ours.parameters())):
        assert gradient.isfinite().all()


def test_other_components_inside_a_layer_of_pytorch() -> None:
    layer = nn.TransformerEncoderLayer(SIZE, HEADS, 16, batch_first=True).eval()
    plain, x = copy.deepcopy(layer), torch.randn(BATCH, SOURCE, SIZE)
    plain.self_attn = MultiheadAttention(SIZE, HEADS, batch_first=True)
    plain.self_attn.load_state_dict(layer.self_attn.state_dict())
    sparse = copy.deepcopy(layer)
    sparse.self_attn = MultiheadAttention(SIZE, HEADS, batch_first=True, selection="sparsemax")
    sparse.self_attn.load_state_dict(layer.self_attn.state_dict())
    with torch.no_grad():  # where PyTorch would compute the layer by itself
        expected = layer(x)
        torch.testing.assert_close(plain.eval()(x), expected)
        found = sparse.eval()(x)
        assert not torch.allclose(found, expected)
        own = layer.norm1(x + sparse.self_attn(x, x, x)[0])
        torch.testing.assert_close(found, layer.norm2(own + layer._ff_block(own)))
    whole = nn.TransformerEncoder(plain, 2, enable_nested_tensor=False)
    hidden = torch.arange(SOURCE) >= torch.tensor([[5], [3], [4]])
    whole(x, src_key_padding_mask=hidden).sum().backward()
    assert all(p.grad is not None for p in whole.parameters())


@pytest.mark.parametrize(
    "parts",
    [
        {"score": "additive"},
        {"scope": "causal", "relative": "alibi"},
        {"scope": "local_p", "selection": "entmax15"},
        {"relative": "rotary", "scope": ["causal", {"kind": "sliding_window", "left": 2}]},
    ],
)
def test_components_equal_those_of_kochi(parts: dict[str, Any]) -> None:
    torch.manual_seed(0)
    ours = MultiheadAttention(SIZE, HEADS, batch_first=True, dtype=torch.float64, **parts)
    score = {"score": "scaled_dot", **parts}
    other = build_multihead(**score, query_size=SIZE, memory_size=SIZE, num_heads=HEADS).double()
    for slot in ("score", "scope", "selection", "relative"):
        part = getattr(other, slot)
        if part is not None:
            part.load_state_dict(getattr(ours.inside, slot).state_dict())
    query, key, value = ours.in_proj_weight.chunk(3)
    other.query_proj.weight.data = query
    other.memory_proj.weight.data = torch.cat((key, value))
    other.output_proj.load_state_dict(ours.out_proj.state_dict())
    x, hidden = numbers(BATCH, SOURCE, SIZE), padding("bool")
    assert hidden is not None
    found, weights = ours(x, x, x, hidden, average_attn_weights=False)
    expected = other(x, other.project(x, ~hidden), need_alignment=True)
    torch.testing.assert_close(found, expected.context)
    torch.testing.assert_close(weights, expected.alignment)


@pytest.mark.parametrize("memory_size", [SIZE, 6])
@pytest.mark.parametrize("bias", [True, False])
def test_weights_convert_both_ways(memory_size: int, bias: bool) -> None:
    judge, _ = same_weights(kdim=memory_size, vdim=memory_size, bias=bias, batch_first=True)
    ours = from_torch(judge)
    assert isinstance(ours, MultiHeadAttention)
    query, memory = numbers(BATCH, TARGET, SIZE), numbers(BATCH, SOURCE, memory_size)
    hidden = padding("bool")
    assert hidden is not None
    expected, weights = judge(query, memory, memory, hidden, average_attn_weights=False)
    found = ours(query, ours.project(memory, ~hidden), need_alignment=True)
    torch.testing.assert_close(found.context, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.alignment, weights, rtol=0, atol=1e-12)
    back = to_torch(ours)
    torch.testing.assert_close(back(query, memory, memory, hidden)[0], expected)
    if bias:
        for name, value in judge.state_dict().items():
            assert torch.equal(back.state_dict()[name], value)


def test_what_does_not_convert() -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"kdim": 3}, "module: got kdim=3 and vdim=8, expected one size"),
        ({"add_zero_attn": True}, "module: got add_bias_kv or add_zero_attn, which have no count"),
    ]
    for options, message in refused:
        with pytest.raises(ValueError, match=re.escape(message)):
            from_torch(nn.MultiheadAttention(SIZE, HEADS, **options))
    with pytest.raises(ValueError, match="module: got other components than scaled_dot, global"):
        from_torch(MultiheadAttention(SIZE, HEADS, relative="rotary"))
    causal = build_multihead(scope="causal", query_size=SIZE, memory_size=SIZE, num_heads=HEADS)
    with pytest.raises(ValueError, match="module: got ScaledDot, Causal, Soft, expected what PyT"):
        to_torch(causal)


def test_bad_input() -> None:
    for name in ("add_bias_kv", "add_zero_attn"):
        append: Any = {name: True}
        with pytest.raises(ValueError, match=f"{name}: an appended key has no position"):
            MultiheadAttention(SIZE, HEADS, scope="causal", **append)
    ours = MultiheadAttention(SIZE, HEADS, batch_first=True)
    x, y = torch.randn(BATCH, TARGET, SIZE), torch.randn(BATCH, SOURCE, SIZE)
    for call, message in (
        ((x, y, x), "value: got [batch, length, size] = [3, 4, 8], expected the batch and len"),
        ((x[:1], y, y), "query: got [batch, length, size] = [1, 4, 8]"),
        ((x, y[..., :3], y), "key: got [batch, length, size] = [3, 5, 3], expected the batch and "),
        ((x, y, y, torch.zeros(5, 3).bool()), "key_padding_mask: got shape [5, 3], expected [ba"),
        (
            (x, y, y, None, False, torch.zeros(5, 4).bool()),
            "attn_mask: got shape [5, 4], expected [target, source] = [4, 5] or [batch * num_heads"
            ", target, source] = [6, 4, 5], True = hidden",
        ),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            ours(*call)


def test_dropout_can_be_changed_later() -> None:
    ours = MultiheadAttention(SIZE, HEADS, batch_first=True)
    x = torch.randn(BATCH, SOURCE, SIZE)
    plain = ours(x, x, x)[0]
    torch.testing.assert_close(ours(x, x, x)[0], plain)
    ours.dropout = 0.5
    assert not torch.allclose(ours(x, x, x)[0], plain)
    torch.testing.assert_close(ours.eval()(x, x, x)[0], plain)


def test_a_head_that_is_hidden_altogether() -> None:
    """PyTorch's result depends on need_weights: https://github.com/pytorch/pytorch/issues/160064"""
    x, ours = torch.randn(1, 5, 3), MultiheadAttention(3, 3, batch_first=True)
    hidden = torch.tensor([False, False, True]).view(-1, 1, 1).expand(-1, 5, 5)
    silent, _ = ours(x, x, x, attn_mask=hidden, need_weights=False)
    output, weights = ours(x, x, x, attn_mask=hidden, average_attn_weights=False)
    assert weights is not None and output.isfinite().all()
    torch.testing.assert_close(silent, output)
    torch.testing.assert_close(weights.sum(-1)[0, :, 0], torch.tensor([1.0, 1.0, 0.0]))


@pytest.mark.parametrize("training", [True, False])
def test_a_sentence_that_is_all_padding(training: bool) -> None:
    """NaN for it, and in all gradients: https://github.com/pytorch/pytorch/issues/24816"""
    layer = nn.TransformerEncoderLayer(SIZE, HEADS, 16, dropout=0.0, batch_first=True)
    theirs = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).train(training)
    ours = copy.deepcopy(theirs)
    one: Any
    for one in ours.layers:
        own = MultiheadAttention(SIZE, HEADS, batch_first=True)
        own.load_state_dict(one.self_attn.state_dict())
        one.self_attn = own.train(training)
    x = torch.randn(BATCH, SOURCE, SIZE)
    hidden = torch.arange(SOURCE) >= torch.tensor([[5], [3], [0]])
    with torch.set_grad_enabled(training):
        found = ours(x, src_key_padding_mask=hidden)
        expected = theirs(x, src_key_padding_mask=hidden)
    assert found.isfinite().all()
    torch.testing.assert_close(found[~hidden], expected[~hidden])
    if training:
        found.sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in ours.parameters())
