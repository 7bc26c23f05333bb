from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kochi.attention import SCOPES, SCORES, MultiHeadAttention, build_multihead

SIZE, HEADS = 12, 3


def make(
    score: str = "scaled_dot", scope: str | dict[str, Any] = "global", heads: int = HEADS
) -> MultiHeadAttention:
    return build_multihead(
        score, scope, query_size=SIZE, memory_size=SIZE, num_heads=heads
    ).double()


def carry_over(judge: nn.MultiheadAttention) -> MultiHeadAttention:
    """Return our module with the weights of PyTorch's."""
    assert judge.in_proj_weight is not None
    ours, size = make(), SIZE
    weights = {
        "query_proj.weight": judge.in_proj_weight[:size],
        "query_proj.bias": judge.in_proj_bias[:size],
        "memory_proj.weight": judge.in_proj_weight[size:],
        "memory_proj.bias": judge.in_proj_bias[size:],
        "output_proj.weight": judge.out_proj.weight,
        "output_proj.bias": judge.out_proj.bias,
    }
    ours.load_state_dict(weights)
    return ours


def test_equals_pytorch_with_its_weights() -> None:
    judge = nn.MultiheadAttention(SIZE, HEADS, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        judge.in_proj_bias.normal_()
        judge.out_proj.bias.normal_()
    ours = carry_over(judge)
    query, memory = torch.randn(2, 5, SIZE).double(), torch.randn(2, 7, SIZE).double()
    mask = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    expected, alignment = judge(
        query, memory, memory, key_padding_mask=~mask, average_attn_weights=False
    )
    found = ours(query, ours.project(memory, mask), need_alignment=True)
    torch.testing.assert_close(found.context, expected)
    torch.testing.assert_close(found.alignment, alignment)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in judge.parameters())


def test_a_head_equals_sdpa() -> None:
    module = make(heads=1)
    query, memory = torch.randn(2, 5, SIZE).double(), torch.randn(2, 7, SIZE).double()
    key, value = module.memory_proj(memory).chunk(2, dim=-1)
    expected = F.scaled_dot_product_attention(module.query_proj(query), key, value)
    found = module(query, module.project(memory))
    torch.testing.assert_close(found.context, module.output_proj(expected))


@pytest.mark.parametrize("score", ["dot", "scaled_dot", "general", "additive"])
def test_each_head_is_the_score_on_its_slice(score: str) -> None:
    module = make(score)
    query, memory = torch.randn(2, 5, SIZE).double(), torch.randn(2, 7, SIZE).double()
    found = module(query, module.project(memory), need_alignment=True)
    assert found.alignment is not None
    key, value = module.memory_proj(memory).chunk(2, dim=-1)
    read: list[Tensor] = []
    for head in range(HEADS):
        cut = slice(4 * head, 4 * head + 4)
        asked, matched = module.query_proj(query)[..., cut], key[..., cut]
        alignment = head_scores(module, asked, matched, head).softmax(-1)
        torch.testing.assert_close(found.alignment[:, head], alignment)
        read.append(alignment @ value[..., cut])
    torch.testing.assert_close(found.context, module.output_proj(torch.cat(read, dim=-1)))


def head_scores(module: MultiHeadAttention, query: Tensor, key: Tensor, head: int) -> Tensor:
    parameters = {name: value[head] for name, value in module.score.named_parameters()}
    if "weight" in parameters:
        return query @ parameters["weight"].T @ key.mT
    if "vector" in parameters:
        hidden = (query @ parameters["query_weight"].T).unsqueeze(2)
        hidden = hidden + (key @ parameters["key_weight"].T).unsqueeze(1)
        return hidden.tanh() @ parameters["vector"]
    return query @ key.mT * (module.score.dot_scale or 0.0)


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("scope", [scope for scope in SCOPES if scope != "local_p"])
@pytest.mark.parametrize("score", SCORES)
def test_projecting_in_one_product_is_the_same(score: str, scope: str, rotary: bool) -> None:
    if rotary and score in ("additive", "location", "location_aware"):
        return
    module = build_multihead(
        score, scope, query_size=SIZE, memory_size=SIZE, num_heads=HEADS, rotary=rotary
    ).double()
    values = torch.randn(2, 5, SIZE).double()
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    apart = module(values, module.project(values, mask), need_alignment=True)
    joined = module.attend_heads(*module.project_self(values, mask), need_alignment=True)
    with torch.no_grad():
        silent = module.attend_heads(*module.project_self(values, mask))
    torch.testing.assert_close(silent.context, apart.context)
    torch.testing.assert_close(joined.context, apart.context)
    torch.testing.assert_close(joined.alignment, apart.alignment)
    assert joined.state.position == apart.state.position


@pytest.mark.parametrize("rotary", [False, True])
def test_a_cache_of_beams_equals_each_beam_alone(rotary: bool) -> None:
    """Width 2, three steps: the cache holds both beams, the mask says which position is whose."""
    module = build_multihead(
        "scaled_dot", "causal", query_size=SIZE, memory_size=SIZE, num_heads=HEADS, rotary=rotary
    ).double()
    beams = torch.randn(1, 2, 3, SIZE).double()
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


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"num_heads: 5 does not divide query_size=12; .*1, 2, 3"):
        build_multihead(query_size=12, memory_size=12, num_heads=5)
    module = build_multihead(query_size=12, memory_size=8, num_heads=2)
    with pytest.raises(ValueError, match=r"project_self: .* got 8 and 12; use project"):
        module.project_self(torch.zeros(1, 2, 8))
    module = build_multihead(scope="local_p", query_size=12, memory_size=12, num_heads=2)
    with pytest.raises(ValueError, match=r"project_self: the scope LocalP .*; use project and fo"):
        module.project_self(torch.zeros(1, 2, 12))


def test_memory_of_another_size() -> None:
    module = build_multihead(query_size=12, memory_size=8, num_heads=2)
    assert module.context_size == 12
    assert module(torch.zeros(1, 2, 12), module.project(torch.zeros(1, 3, 8))).context.shape == (
        1,
        2,
        12,
    )
