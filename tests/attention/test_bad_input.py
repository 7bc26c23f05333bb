"""What does not fit is refused: the message names the argument, what came and what is allowed."""

import copy
import math
import re
from typing import Any

import pytest
import torch

from kochi.attention import build, build_multihead, coverage_loss

pytestmark = pytest.mark.usefixtures("shapes_unchecked")

WHOLE = "expected a whole number of {} or more"
POSITIVE = "expected a finite number above 0"


def make(score: Any = "dot", scope: Any = "global", selection: Any = "soft", **options: Any) -> Any:
    sizes: dict[str, Any] = {"query_size": 8, "memory_size": 8}
    return build(score, scope, selection, **(sizes | options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"query_size": 0}, f"query_size: got 0, {WHOLE.format(1)}"),
        ({"memory_size": -2}, f"memory_size: got -2, {WHOLE.format(1)}"),
        ({"query_size": 1.5}, f"query_size: got 1.5, {WHOLE.format(1)}"),
        ({"num_heads": True}, f"num_heads: got True, {WHOLE.format(1)}"),
        ({"num_heads": 2.0}, f"num_heads: got 2.0, {WHOLE.format(1)}"),
        ({"num_heads": 2, "memory_size": 0}, f"memory_size: got 0, {WHOLE.format(1)}"),
        ({"dropout": "0.1"}, "dropout: got '0.1', expected a fraction from 0 to below 1"),
        ({"dropout": math.nan}, "dropout: got nan, expected a fraction from 0 to below 1"),
        ({"score": None}, "score: got None, expected a name, a table with its kind and options, o"),
        ({"selection": 3}, "selection: got 3, expected a name, a table with its kind and options"),
        ({"score": {"scale": 3}}, "score: kind is missing; it must be one of 'dot', 'scaled_dot'"),
        ({"kernel": "quick"}, "kernel: got 'quick', expected one of 'auto', 'reference', 'sdpa'"),
    ],
    ids=str,
)
def test_arguments_of_build(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**options)


@pytest.mark.parametrize(
    ("part", "kind", "option", "value", "expected"),
    [
        ("scope", "sliding_window", "left", -1, WHOLE.format(0)),
        ("scope", "sliding_window", "right", 0.5, WHOLE.format(0)),
        ("scope", "local_m", "width", -1, WHOLE.format(0)),
        ("scope", "local_m", "ratio", 0.0, POSITIVE),
        ("scope", "local_p", "width", 0, WHOLE.format(1)),
        ("scope", "local_p", "hidden_size", 0, WHOLE.format(1)),
        ("score", "additive", "hidden_size", 0, WHOLE.format(1)),
        ("score", "cosine", "scale", -1.0, POSITIVE),
        ("score", "location", "max_length", 0, WHOLE.format(1)),
        ("score", "location_aware", "filters", 0, WHOLE.format(1)),
        ("score", "location_aware", "width", 4, "expected an odd number"),
        ("selection", "soft", "temperature", "1", POSITIVE),
        ("selection", "soft", "temperature", math.inf, POSITIVE),
        ("selection", "gumbel", "temperature", math.nan, POSITIVE),
        ("selection", "top_k", "k", 1.5, WHOLE.format(1)),
        ("selection", "top_k", "k", "3", WHOLE.format(1)),
        ("selection", "chunkwise", "window", -1, WHOLE.format(1)),
        ("selection", "chunkwise", "window", 1.5, WHOLE.format(1)),
        ("selection", "monotonic", "noise", math.inf, "expected a finite number of 0 or more"),
        ("selection", "monotonic", "offset", math.nan, "expected a finite number"),
        ("selection", "entmax", "alpha", "1.5", "expected a number between 1.01 and 1.99"),
        ("selection", "hard", "expected_share", "half", "expected a number from 0 to 1"),
        ("relative", "shaw", "max_distance", 0, WHOLE.format(1)),
        ("relative", "t5", "num_buckets", 5, "expected an even number with bidirectional"),
        ("relative", "t5", "max_distance", 8, WHOLE.format(9)),
    ],
)
def test_options_of_parts(part: str, kind: str, option: str, value: object, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{option}: got {value!r}, {expected}")):
        make(**{part: {"kind": kind, option: value}})


@pytest.mark.parametrize(
    ("kernel", "options", "reason"),
    [
        ("sdpa", {"score": "additive"}, "the score Additive is not a dot product of projected"),
        ("dense", {"selection": "hard"}, "the selection Hard is not the plain softmax"),
        ("sdpa", {"scope": "local_p"}, "the scope LocalP does more than hide positions"),
        ("blocked", {"score": "cosine"}, "the score Cosine is not the additive or the"),
        ("banded", {"scope": "causal"}, "the scope Causal is not a sliding window"),
    ],
)
def test_a_kernel_for_what_it_does_not_serve(
    kernel: str, options: dict[str, Any], reason: str
) -> None:
    message = f"kernel: {kernel!r} cannot serve: {reason}"
    with pytest.raises(ValueError, match=re.escape(message)):
        make(kernel=kernel, **options)


def test_masks() -> None:
    module, memory, query = make(), torch.zeros(2, 4, 8), torch.zeros(2, 3, 8)
    projected, wrong = module.project(memory), [[True] * 4] * 2
    with pytest.raises(ValueError, match=r"mask: got a list, expected torch\.bool \[batch, source"):
        module.project(memory, wrong)
    with pytest.raises(ValueError, match=r"mask: got a list, expected torch\.bool \[batch, source"):
        module(query, projected, mask=wrong)
    numbers = torch.ones(2, 4, dtype=torch.long)
    with pytest.raises(ValueError, match=r"mask: got torch\.int64 of shape \[2, 4\], expected tor"):
        module(query, projected, mask=numbers)
    for shape in ((2, 3), (1, 4), (2, 4, 3), (4,)):
        with pytest.raises(
            ValueError,
            match=r"mask: got .*, expected .* \[2, 4\] or .*\[2, 3, 4\], True = may attend$",
        ):
            module(query, projected, mask=torch.ones(shape, dtype=torch.bool))
    message = r"mask: got torch\.bool of shape \[2, 4\], expected .* = \[2, 3\], True = counts"
    with pytest.raises(ValueError, match=message):
        coverage_loss(torch.zeros(2, 1, 3, 4), torch.ones(2, 4, dtype=torch.bool))


def test_positions() -> None:
    for module in (
        make("dot", "causal"),
        build_multihead(query_size=8, memory_size=8, num_heads=2, rotary=True, scope="causal"),
    ):
        projected, query = module.project(torch.zeros(2, 4, 8)), torch.zeros(2, 3, 8)
        for wrong in (torch.arange(4), torch.zeros(3), torch.zeros(3, dtype=torch.bool)):
            with pytest.raises(
                ValueError, match=r"positions: got torch\..* each of 3 positions: \[3\]"
            ):
                module(query, projected, query_positions=wrong)
        with pytest.raises(
            ValueError, match=r"key_positions: got .* each of 4 positions: \[4\] or"
        ):
            module(query, projected, key_positions=torch.arange(3))


def test_a_memory_or_a_state_of_another() -> None:
    one, many = make(), make(num_heads=2)
    memory = torch.zeros(2, 4, 8)
    with pytest.raises(
        ValueError, match=r"projected: got \[batch, heads\] = \[2, 1\], but the que"
    ):
        many(torch.zeros(2, 3, 8), one.project(memory))
    looking = make("dot", "coverage")
    state = looking(torch.zeros(2, 1, 8), looking.project(memory)).state
    with pytest.raises(
        ValueError, match=r"state: got a past of \[batch, heads\] = \[2, 1\], but t"
    ):
        looking(torch.zeros(1, 1, 8), looking.project(memory[:1]), state=state)
    with pytest.raises(
        ValueError, match=r"state: got alignments over 4 positions, but the memory has onl"
    ):
        looking(torch.zeros(2, 1, 8), looking.project(memory[:, :3]), state=state)


def test_a_memory_projected_with_other_weights() -> None:
    memory, query = torch.randn(2, 4, 8), torch.randn(2, 3, 8)
    message = r"projected: this memory was projected with the weights of another module; each mod"
    for options in ({"num_heads": 2}, {"score": "additive"}):
        one, other = make(**options), make(**options)
        with torch.no_grad():
            projected = one.project(memory)
        rows = projected.rows(torch.tensor([1, 0])).contiguous()
        for wrong in (projected, rows, rows.append(projected)):
            with pytest.raises(ValueError, match=message):
                other(query, wrong)
            one(query, wrong)
            other(query, copy.deepcopy(wrong))  # a copy does not remember
    make()(query, make("dot").project(memory))  # nothing was projected
    one, other = make(num_heads=2), make(num_heads=2)
    other.memory_proj = one.memory_proj  # shared on purpose
    other(query, one.project(memory))


def test_rotary_positions_forgotten_for_a_cached_key() -> None:
    module = make(num_heads=2, relative="rotary")
    memory, new = torch.randn(2, 4, 8), torch.randn(2, 1, 8)
    cache = module.project(memory)
    message = (
        r"append: the keys to append were rotated as positions 0, 1, \.\.\., but stand at 4; pass"
    )
    for forgotten in (module.project(new), module.project_self(new)[1]):
        with pytest.raises(ValueError, match=message):
            cache.append(forgotten)
    longer = cache.append(module.project(new, positions=torch.tensor([4])))
    whole = module.project(torch.cat((memory, new), 1))
    torch.testing.assert_close(longer.keys, whole.keys)
    longer.append(module.project(new, positions=5))
    module.project(memory[:, :0]).append(cache)  # the first
    plain = make(num_heads=2)
    plain.project(memory).append(plain.project(new))


def test_a_memory_longer_than_what_was_learned() -> None:
    module = make({"kind": "location", "max_length": 4})
    with pytest.raises(
        ValueError, match=r"score 'location': the memory has 9 positions, but .*=4 onl"
    ):
        module(torch.zeros(1, 1, 8), module.project(torch.zeros(1, 9, 8)))
