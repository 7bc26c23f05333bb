"""Time calls of attention beside modules written by hand, all in one process, in turn.

    kochi_overhead.py eager|compiled ROUNDS

Prints the median microseconds of each contestant in each case.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kochi import attention

CASES = {  # batch, queries, keys, heads, size, forward and backward
    "step, 1 sentence": (1, 1, 32, 4, 128, False),
    "step, 64 sentences": (64, 1, 32, 4, 128, False),
    "training, 16 x 64 x 64": (16, 64, 64, 4, 256, True),
    "training, 4 x 512 x 512": (4, 512, 512, 8, 512, True),
    "training, 1 x 4,096 x 4,096": (1, 4096, 4096, 8, 512, True),
}
ADDITIVE = list(CASES)[:2]
SECONDS = 0.15  # a round of one contestant, about


class ByHand(nn.Module):
    """Multi-head attention around SDPA, over a memory that is projected once."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.query, self.memory = nn.Linear(size, size), nn.Linear(size, 2 * size)
        self.output, self.heads = nn.Linear(size, size), heads

    def project(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = self.memory(memory).chunk(2, -1)
        return self._by_head(keys), self._by_head(values)

    def forward(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        found = F.scaled_dot_product_attention(self._by_head(self.query(query)), keys, values, mask)
        return self.output(found.transpose(1, 2).flatten(2))

    def _by_head(self, joined: Tensor) -> Tensor:
        return joined.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Bahdanau(nn.Module):
    """Additive attention as tutorials write it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(size, size, False), nn.Linear(size, size, False)
        self.vector = nn.Linear(size, 1, False)

    def forward(self, query: Tensor, keys: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        hidden = (self.query(query).unsqueeze(2) + keys.unsqueeze(1)).tanh()
        scores = self.vector(hidden).squeeze(-1).masked_fill(~mask, -torch.inf)
        return scores.softmax(-1) @ memory


def contestants(case: str, compiled: bool) -> dict[str, Callable[[], Any]]:
    """Return a call of each contestant: a step over projected memory, or a step of training."""
    batch, target, source, heads, size, training = CASES[case]
    query = torch.randn(batch, target, size, requires_grad=training)
    memory = torch.randn(batch, source, size, requires_grad=training)
    mask = torch.arange(source).expand(batch, -1) < source - 3
    sizes: Any = {"query_size": size, "memory_size": size}

    def ready(module: Any) -> Any:
        return torch.compile(module) if compiled else module

    hand = ByHand(size, heads)
    ours: Any = attention.build_multihead(**sizes, num_heads=heads)
    theirs = nn.MultiheadAttention(size, heads, batch_first=True)
    if training:
        return {
            "by hand": _learning(ready(lambda: hand(query, *hand.project(memory), _all(mask)))),
            "kochi": _learning(ready(lambda: ours(query, ours.project(memory, mask)).context)),
            "nn.MultiheadAttention": _learning(
                ready(lambda: theirs(query, memory, memory, ~mask, need_weights=False)[0])
            ),
        }
    with torch.no_grad():
        keys, values = (one.contiguous() for one in hand.project(memory))
        projected, wide = ours.project(memory, mask).contiguous(), _all(mask)
        additive, bahdanau = attention.build("additive", **sizes), Bahdanau(size)
        added, own_keys = additive.project(memory, mask), bahdanau.key(memory)
    own, bahdanau = ready(hand), ready(bahdanau)
    step = ready(lambda: ours.step(query, projected, attention.START).context)
    additive_step = ready(lambda: additive.step(query, added, attention.START).context)
    return {
        "by hand": lambda: own(query, keys, values, wide),
        "kochi": step,
        "nn.MultiheadAttention": lambda: theirs(query, memory, memory, ~mask, need_weights=False),
        "Bahdanau by hand": lambda: bahdanau(query, own_keys, memory, mask.unsqueeze(1)),
        "kochi additive": additive_step,
    }


def _all(mask: Tensor) -> Tensor:
    return mask[:, None, None]


def _learning(call: Callable[[], Tensor]) -> Callable[[], None]:
    return lambda: call().sum().backward()


def main() -> None:
    compiled, rounds = sys.argv[1] == "compiled", int(sys.argv[2])
    found: dict[str, dict[str, float]] = {}
    for case in CASES:
        with torch.set_grad_enabled(CASES[case][5]):
            calls = contestants(case, compiled)
            repeats: dict[str, int] = {}
            for name, call in calls.items():
                call()
                call()
                start = time.perf_counter()
                call()
                repeats[name] = max(1, min(500, int(SECONDS / (time.perf_counter() - start))))
            times: dict[str, list[float]] = {name: [] for name in calls}
            for _ in range(rounds):
                for name, call in calls.items():
                    start = time.perf_counter()
                    for _ in range(repeats[name]):
                        call()
                    times[name].append((time.perf_counter() - start) / repeats[name] * 1e6)
        for name, one in times.items():
            found[f"{case}: {name}"] = {"microseconds": statistics.median(one)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
