"""Take the time of kochi's training step apart.

    kochi_profile.py MODEL PRECISION TEXT FOLDER STEPS

Runs the real training loop: STEPS steps are timed, one is counted (floating-point operations of the
matrix products), and STEPS are profiled. Prints a JSON object: seconds and tokens of the timed
steps, the operations of the counted step and of its tokens, and seconds by kind of work.
"""

import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from kochi_runs import make_run
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, shape_wrapper

from kochi.products import linear
from kochi.training.run import train
from kochi.training.trainer import Trainer

WARM = 5
aten = torch.ops.aten

# What a piece of work is called by the operation or by one it is part of; the first match counts.
KINDS: list[tuple[str, tuple[str, ...]]] = [
    (
        "optimizer and clipping",
        ("Optimizer.", "aten::_fused_adamw_", "aten::_foreach", "clip_grad"),
    ),
    ("dropout: random numbers", ("aten::random_", "aten::bernoulli_")),
    ("dropout: applying it", ("_Masked",)),
    ("matrix products: output layer", ("product for the loss",)),
    ("softmax and loss over the vocabulary", ("_LinearCrossEntropy",)),
    ("matrix products: other layers", ("product",)),
    ("attention: softmax, fused kernels", ("softmax", "Softmax", "scaled_dot_product")),
    ("recurrent cells", ("_LstmCell", "aten::lstm", "aten::mkldnn_rnn_layer", "MkldnnRnnLayer")),
    ("additive score: tanh", ("aten::tanh", "TanhBackward")),
    ("layer norm", ("aten::native_layer_norm",)),
    ("embeddings", ("aten::embedding", "EmbeddingBackward", "aten::embedding_dense_backward")),
    ("adding up gradients", ("aten::add_", "AccumulateGrad")),
]
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::addmm_", "aten::addmv")
PRODUCTS += ("aten::mv", "aten::addmv_", "aten::mkldnn_linear", "aten::dot")
PRODUCTS += ("mkldnn::_linear_pointwise",)
REST = "other operations (sums, copies, masks)"
OUTSIDE = "outside of operations (Python, Lightning, batches)"


def kind_of(event: Any) -> str:
    """Return the kind of work of a profiled operation, by its name and those it is part of."""
    names = []
    ancestor = event
    while ancestor is not None:
        names.append(ancestor.name)
        ancestor = ancestor.cpu_parent
    product = event.name in PRODUCTS
    inside_loss = any("_LinearCrossEntropy" in name for name in names)
    if product:
        names.append("product for the loss" if inside_loss else "product")
    for kind, marks in KINDS:
        if any(mark in name for name in names for mark in marks):
            return kind
    return REST


def seconds_by_kind(profiler: profile) -> dict[str, float]:
    seconds: dict[str, float] = defaultdict(float)
    for event in profiler.events() or []:
        if event.name.startswith("ProfilerStep"):
            continue
        seconds[kind_of(event)] += event.self_cpu_time_total * 1e-6
    return seconds


def count_in_place(target: Any, a: Any, b: Any, *_: Any, **__: Any) -> int:
    return 2 * a[0] * a[1] * b[1]


def count_recurrent(inputs: Any, w_ih: Any, w_hh: Any, *_: Any, **__: Any) -> int:
    return 2 * inputs[0] * inputs[1] * (w_ih[0] * w_ih[1] + w_hh[0] * w_hh[1])


def count_linear(inputs: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return 2 * math.prod(inputs) * out_shape[-1]


def count_recurrent_backward(*shapes: Any, **__: Any) -> int:
    return 2 * count_recurrent(*shapes)


COUNTED = flop_registry | {  # and what torch's counts do not know
    aten.addmm_: shape_wrapper(count_in_place),
    torch.ops.mkldnn._linear_pointwise: shape_wrapper(count_linear),
    aten.mkldnn_rnn_layer: shape_wrapper(count_recurrent),
    aten.mkldnn_rnn_layer_backward: shape_wrapper(count_recurrent_backward),
}


class Operations(TorchDispatchMode):
    """Count operations as they are called.

    torch's ``FlopCounterMode`` books them under the module at work, and lost most of them in a step
    of the BiLSTM: 9.6 of 83 GFLOP were left (torch 2.13).
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        count = COUNTED.get(func._overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def large_product(size: int = 2048, repeats: int = 5) -> float:
    """Return the operations a second of one large matrix product: what the machine can do."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        linear(a, b)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def timed(
    steps: int,
) -> tuple[Callable[[Callable[..., Any]], Callable[..., Any]], dict[str, Any]]:
    """Return a wrapper that times, counts or profiles a training step, and what it finds."""
    found: dict[str, Any] = {"starts": [], "tokens": []}
    profiler = profile(activities=[ProfilerActivity.CPU])

    def wrap(step: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(self: Trainer, group: Any) -> Any:
            number = len(found["starts"])
            found["starts"].append(time.perf_counter())
            found["tokens"].append(group.num_tokens)
            if number == WARM + steps:
                with Operations() as counter:
                    result = step(self, group)
                found["operations"] = counter.total
                return result
            if number == WARM + steps + 1:
                profiler.start()
            if number == WARM + 2 * steps + 1:
                profiler.stop()
                found["kinds"] = seconds_by_kind(profiler)
            return step(self, group)

        return wrapped

    return wrap, found


def main() -> None:
    model, precision = sys.argv[1:3]
    text, folder = map(Path, sys.argv[3:5])
    steps = int(sys.argv[5])
    wrap, found = timed(steps)
    Trainer.step = wrap(Trainer.step)
    train(make_run(model, precision, text, folder, WARM + 2 * steps + 2), overwrite=True)
    torch.set_float32_matmul_precision(precision)
    starts, tokens, kinds = found["starts"], found["tokens"], found["kinds"]
    first, counted = WARM, WARM + steps
    profiled = starts[counted + 1 + steps] - starts[counted + 1]
    kinds[OUTSIDE] = max(profiled - sum(kinds.values()), 0.0)
    result = {
        "seconds": starts[counted] - starts[first],
        "tokens": sum(tokens[first:counted]),
        "steps": steps,
        "operations": found["operations"],
        "operations_tokens": tokens[counted],
        "profiled_seconds": profiled,
        "profiled_tokens": sum(tokens[counted + 1 : counted + 1 + steps]),
        "kinds": kinds,
        "large_product": large_product(),
    }
    print(json.dumps({"": result}))


if __name__ == "__main__":
    main()
