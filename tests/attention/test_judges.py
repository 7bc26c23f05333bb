"""Attention of other libraries, with the weights carried over: Keras and x-transformers.

Judges elsewhere: `nn.MultiheadAttention` and SDPA in test_multihead.py, the package entmax in
test_sparse.py.
"""

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from kochi.attention import MultiHeadAttention, Positions, build, build_multihead
from kochi.attention.relative import Alibi
from kochi.attention.relative.rotary import rotate

with warnings.catch_warnings():
    # While it is imported it names an autocast that torch 2.13 calls out of date.
    warnings.simplefilter("ignore", FutureWarning)
    from x_transformers.x_transformers import (
        AlibiPositionalBias,
        RotaryEmbedding,
        apply_rotary_pos_emb,
    )
    from x_transformers.x_transformers import Attention as JudgeAttention

BATCH, TARGET, SOURCE, SIZE, HIDDEN = 2, 5, 7, 6, 11


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return Keras on torch; it would write its settings to the home directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        import keras
    assert keras.config.backend() == "torch"
    return keras


def numbers(*shape: int) -> Tensor:
    return torch.randn(shape, requires_grad=True)


def some_mask() -> Tensor:
    return torch.tensor([[True] * SOURCE, [True] * 4 + [False] * 3])


def same(
    found: tuple[Tensor, Tensor | None], expected: tuple[Tensor, Tensor], *inputs: Tensor
) -> None:
    """Compare context, alignment and the gradients of all inputs; Keras computes in float32."""
    assert found[1] is not None
    close: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(found[0], expected[0], **close)
    torch.testing.assert_close(found[1], expected[1], **close)
    weights = torch.arange(found[0].numel(), dtype=torch.float32).view(found[0].shape).cos()
    ours, theirs = (
        torch.autograd.grad((context * weights).sum(), inputs)
        for context in (found[0], expected[0])
    )
    torch.testing.assert_close(ours, theirs, **close)
    assert all(gradient.abs().sum() > 0 for gradient in ours)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("scope", ["global", "causal"])
def test_additive_attention_of_keras(keras: Any, scope: str, masked: bool) -> None:
    with keras.device("cpu"):
        judge = keras.layers.AdditiveAttention()
        query_layer, key_layer = (keras.layers.Dense(HIDDEN, use_bias=False) for _ in range(2))
        query, memory = numbers(BATCH, TARGET, SIZE), numbers(BATCH, SOURCE, SIZE)
        mask = some_mask() if masked else None
        expected = judge(
            [query_layer(query), memory, key_layer(memory)],
            mask=[None, mask],
            return_attention_scores=True,
            use_causal_mask=scope == "causal",
        )
    module = build(
        {"kind": "additive", "hidden_size": HIDDEN}, scope, query_size=SIZE, memory_size=SIZE
    )
    module.load_state_dict(
        {
            "score.query_weight": query_layer.kernel.value.detach().T.unsqueeze(0),
            "score.key_weight": key_layer.kernel.value.detach().T.unsqueeze(0),
            "score.vector": judge.scale.value.detach().unsqueeze(0),
        }
    )
    found = module(query, module.project(memory, mask), need_alignment=True)
    same(found[:2], expected, query, memory)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("scope", ["global", "causal"])
@pytest.mark.parametrize("scaled", [False, True])
def test_dot_attention_of_keras(keras: Any, scaled: bool, scope: str, masked: bool) -> None:
    """With a learned scale it is the general score of ``scale`` times the unit matrix."""
    query, memory = numbers(BATCH, TARGET, SIZE), numbers(BATCH, SOURCE, SIZE)
    mask = some_mask() if masked else None
    with keras.device("cpu"):
        judge = keras.layers.Attention(use_scale=scaled)
        judge.build([query.shape, memory.shape])
        if scaled:
            judge.scale.assign(0.3)
        expected = judge(
            [query, memory],
            mask=[None, mask],
            return_attention_scores=True,
            use_causal_mask=scope == "causal",
        )
    module = build("general" if scaled else "dot", scope, query_size=SIZE, memory_size=SIZE)
    if scaled:
        module.load_state_dict({"score.weight": 0.3 * torch.eye(SIZE).unsqueeze(0)})
    found = module(query, module.project(memory, mask), need_alignment=True)
    same(found[:2], expected, query, memory)


@pytest.mark.parametrize("num_heads", [1, 2, 3, 6, 8, 12])
@pytest.mark.parametrize(("target", "source"), [(5, 5), (3, 7)])
def test_the_term_of_alibi(num_heads: int, target: int, source: int) -> None:
    """There the queries are the last positions of the memory."""
    expected = AlibiPositionalBias(heads=num_heads, total_heads=num_heads)(
        target, source
    ).unsqueeze(0)
    positions = Positions(target, source, torch.device("cpu"), start=source - target)
    found = Alibi(num_heads)(torch.zeros(1, num_heads, target, 4), positions)
    torch.testing.assert_close(found, expected)


def test_rotary_positions() -> None:
    size, positions = 8, torch.tensor([0, 1, 2, 17, 300])
    vectors = torch.randn(BATCH, 3, 5, size)
    frequencies, scale = RotaryEmbedding(size)(positions)
    expected = apply_rotary_pos_emb(vectors, frequencies, scale)
    torch.testing.assert_close(rotate(vectors, positions), expected, rtol=1e-4, atol=1e-4)


def carry_over(judge: Any, heads: int, relative: str, kernel: str) -> MultiHeadAttention:
    """Return our causal layer with the weights of the judge's, which has no biases."""
    ours = build_multihead(
        "scaled_dot",
        "causal",
        query_size=SIZE * heads,
        memory_size=SIZE * heads,
        num_heads=heads,
        relative=relative,
        kernel=kernel,
    )
    with torch.no_grad():
        ours.query_proj.weight.copy_(judge.to_q.weight)
        ours.memory_proj.weight.copy_(torch.cat((judge.to_k.weight, judge.to_v.weight)))
        ours.output_proj.weight.copy_(judge.to_out.weight)
    return ours


@pytest.mark.parametrize("kernel", ["reference", "sdpa", "dense"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("relative", ["alibi", "rotary"])
@pytest.mark.parametrize("heads", [2, 3])
def test_a_causal_layer_of_x_transformers(
    heads: int, relative: str, masked: bool, kernel: str
) -> None:
    judge = JudgeAttention(dim=SIZE * heads, dim_head=SIZE, heads=heads, causal=True)
    ours = carry_over(judge, heads, relative, kernel)
    values = torch.randn(BATCH, SOURCE, SIZE * heads, requires_grad=True)
    mask = some_mask() if masked else None
    options: dict[str, Any] = {"mask": mask}
    if relative == "alibi":
        options["rel_pos"] = AlibiPositionalBias(heads=heads, total_heads=heads)
    else:
        options["rotary_pos_emb"] = RotaryEmbedding(SIZE).forward_from_seq_len(SOURCE)
    expected = judge(values, **options)
    found = ours(values, ours.project(values, mask)).context
    if mask is not None:  # the judge also clears what padding has read
        found = found.masked_fill(~mask.unsqueeze(-1), 0.0)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    weights = torch.arange(found.numel()).view(found.shape).cos()
    inputs = [values, ours.output_proj.weight], [values, judge.to_out.weight]
    gradients = [
        torch.autograd.grad((context * weights).sum(), some)
        for context, some in zip((found, expected), inputs, strict=True)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)
    assert all(gradient.abs().sum() > 0 for gradient in gradients[0])
