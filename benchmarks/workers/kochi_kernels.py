"""Time one kernel of attention, forward and backward, and see how much memory it takes.

    kochi_kernels.py additive naive|blocked REPEATS
    kochi_kernels.py window sdpa|banded LENGTH REPEATS
    kochi_kernels.py local_m|local_p reference|windowed LENGTH REPEATS
    kochi_kernels.py location_aware reference|blocked REPEATS
    kochi_kernels.py grid REPEATS

The memory is what the largest resident size grows by in the first call on the real tensors, less
outputs and gradients. The grid gives the time of each kernel that may serve, and the place in
`COMPARED` of the one that the rule chooses.
"""

import json
import resource
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from kochi.attention import Attention, AttentionMask, MultiHeadAttention, build
from kochi.attention.components import Components
from kochi.attention.kernels.blocked import blocked_scores
from kochi.attention.kernels.dispatch import KERNELS, Able, Case, choose
from kochi.attention.scopes import Band
from kochi.attention.scores.additive import additive_score

ADDITIVE = {"batch": 8, "target": 128, "source": 512, "hidden": 256}
WINDOW = {"heads": 4, "size": 32, "left": 64, "right": 63}
LOCAL = {"heads": 4, "size": 32, "width": 10}
LOCATED = {"batch": 16, "target": 40, "source": 400, "hidden": 256}
SHAPES = (  # sentences, queries, keys
    (250, 1, 16),
    (64, 16, 16),
    (64, 64, 64),
    (16, 128, 128),
    (8, 32, 256),
    (4, 256, 256),
    (2, 512, 512),
    (1, 1024, 1024),
)
ADDITIVE_SHAPES = (
    (1, 1, 30),
    (64, 1, 16),
    (250, 1, 16),
    (64, 1, 400),
    (4, 5, 20),
    (64, 5, 60),
    (1, 16, 16),
    (16, 20, 20),
    (64, 30, 30),
    (8, 128, 128),
)
DTYPES = (torch.float32, torch.bfloat16)
COMPARED = ("reference", "sdpa", "dense", "blocked")
GRIDS = {  # heads, size of a head, shapes; and the kernels that are compared
    "scaled_dot": (4, 32, SHAPES, ("reference", "sdpa", "dense")),
    "additive": (1, 256, ADDITIVE_SHAPES, ("reference", "blocked")),
}


def fresh(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, dtype=dtype).requires_grad_()


def largest_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def once(call: Callable[..., Tensor], inputs: list[Tensor]) -> float:
    """Return the seconds of a forward and backward pass."""
    for tensor in inputs:
        tensor.grad = None
    started = time.perf_counter()
    output = call(*inputs)
    output.backward(torch.ones_like(output))
    return time.perf_counter() - started


def with_memory(
    call: Callable[..., Tensor], make: Callable[[int], list[Tensor]], repeats: int
) -> dict[str, float]:
    """Return time and memory; ``make`` makes inputs, of full size or a fraction of it."""
    once(call, make(16))
    inputs = make(1)
    before = largest_bytes()
    output = call(*inputs)
    output.backward(torch.ones_like(output))
    own = sum(tensor.nbytes for tensor in [output, output, *inputs])  # with their gradients
    extra = largest_bytes() - before - own
    del output
    seconds = min(once(call, inputs) for _ in range(repeats))
    return {"milliseconds": 1000 * seconds, "extra_mb": max(0.0, extra * 1e-6)}


def additive(name: str, repeats: int) -> dict[str, float]:
    def make(part: int) -> list[Tensor]:
        batch, target, source, hidden = ADDITIVE.values()
        target, source = target // part, source // part
        return [
            fresh(batch, 1, target, hidden),
            fresh(batch, 1, source, hidden),
            fresh(1, hidden),
        ]

    call = {"naive": additive_score, "blocked": blocked_scores}[name]
    return with_memory(call, make, repeats)


def window(name: str, length: int, repeats: int) -> dict[str, float]:
    heads, size, left, right = WINDOW.values()
    scope = {"kind": "sliding_window", "left": left, "right": right}
    module = build("scaled_dot", scope, query_size=size, memory_size=size)
    visible = AttentionMask(band=Band(left, right))

    def make(part: int) -> list[Tensor]:
        return [fresh(1, heads, length // part, size) for _ in range(3)]

    def banded(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        kernel = KERNELS["banded"]
        return kernel(module.parts, query, keys, values, visible, None, 0.0, False).context

    call = {"sdpa": F.scaled_dot_product_attention, "banded": banded}[name]
    return with_memory(call, make, repeats)


def local(scope: str, name: str, length: int, repeats: int) -> dict[str, float]:
    """Ask a source as long as the target in windows; the projections are counted too."""
    heads, size, width = LOCAL.values()
    module = build(
        "scaled_dot",
        {"kind": scope, "width": width},
        query_size=heads * size,
        memory_size=heads * size,
        num_heads=heads,
        kernel=name,
    )
    for what, parameter in module.named_parameters():
        if what.startswith("scope."):  # windows everywhere, not only in the middle
            torch.nn.init.normal_(parameter)
    return with_memory(*_module_call(module, 1, length, length, heads * size), repeats)


def location_aware(name: str, repeats: int) -> dict[str, float]:
    """Ask one query after the other, as in training."""
    batch, target, source, hidden = LOCATED.values()
    module = build("location_aware", query_size=hidden, memory_size=hidden, kernel=name)
    return with_memory(*_module_call(module, batch, target, source, hidden), repeats)


def _module_call(
    module: Attention | MultiHeadAttention, batch: int, target: int, source: int, size: int
) -> tuple[Callable[..., Tensor], Callable[[int], list[Tensor]]]:
    def make(part: int) -> list[Tensor]:
        return [fresh(batch, length // part, size) for length in (target, source)]

    def call(query: Tensor, memory: Tensor) -> Tensor:
        return module(query, module.project(memory)).context

    return call, make


def grid(repeats: int) -> dict[str, dict[str, float]]:
    found = {}
    for score, (heads, size, shapes, kernels) in GRIDS.items():
        for dtype in DTYPES:
            parts = build(score, query_size=size, memory_size=size).to(dtype).parts
            for batch, target, source in shapes:
                lengths = target, source, source
                inputs = [fresh(batch, heads, length, size, dtype=dtype) for length in lengths]
                label = f"{score}, {batch} x {target} x {source}, {str(dtype)[6:]}"
                found[f"{label}, training"] = _compare(parts, inputs, kernels, repeats)
                with torch.no_grad():
                    found[f"{label}, no gradient"] = _compare(parts, inputs, kernels, repeats)
    return found


def _compare(
    parts: Components, inputs: list[Tensor], kernels: tuple[str, ...], repeats: int
) -> dict[str, float]:
    query, keys, values = inputs
    visible = AttentionMask(torch.ones(len(keys), 1, 1, keys.shape[2], dtype=torch.bool))
    times: dict[str, list[float]] = {name: [] for name in kernels}
    for _ in range(repeats):
        for name, seconds in times.items():
            call = _call(name, parts, visible)
            if torch.is_grad_enabled():
                seconds.append(once(call, inputs))
            else:
                started = time.perf_counter()
                call(*inputs)
                seconds.append(time.perf_counter() - started)
    best = {name: min(seconds) for name, seconds in times.items()}
    chosen = choose("auto", parts, Able.of(parts), Case.of(query, keys, values, visible, 0.0))[0]
    milliseconds = {name: 1000 * seconds for name, seconds in best.items()}
    return {"chosen": COMPARED.index(chosen), **milliseconds}


def _call(name: str, parts: Components, visible: AttentionMask) -> Callable[..., Tensor]:
    def call(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        return KERNELS[name](parts, query, keys, values, visible, None, 0.0, False).context

    return call


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "additive":
        found = {"": additive(rest[0], int(rest[1]))}
    elif what == "window":
        found = {"": window(rest[0], int(rest[1]), int(rest[2]))}
    elif what in ("local_m", "local_p"):
        found = {"": local(what, rest[0], int(rest[1]), int(rest[2]))}
    elif what == "location_aware":
        found = {"": location_aware(rest[0], int(rest[1]))}
    else:
        found = grid(int(rest[0]))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
