"""Time the kernels for a call of one's own."""

import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kochi.attention.components import Components
from kochi.attention.kernels.dispatch import KERNELS, refusal

ROUNDS = 3
"""Each kernel is timed at least so often, in turn with the others."""


def time_kernels(
    parts: Components, run: Callable[[str], Tensor], inputs: Sequence[Tensor], seconds: float
) -> dict[str, float]:
    """Return the median time of a call with each kernel that can compute it, the fastest first.

    The gradient is part of the call where gradients are enabled and an input needs one. A kernel
    that refuses the call is left out.

    Args:
        parts: The components.
        run: Computes the call with a kernel, by name, and returns the context.
        inputs: The inputs of the call.
        seconds: How long to time, in all; the first call of each kernel does not count.
    """
    able = [name for name in KERNELS if refusal(name, parts) is None]
    needed = [one for one in inputs if one.requires_grad] if torch.is_grad_enabled() else []
    device = inputs[0].device

    def once(name: str) -> float:
        start = time.perf_counter()
        context = run(name)
        if needed:
            torch.autograd.grad(context, needed, torch.ones_like(context), allow_unused=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    once("reference")  # what is wrong with the call is told
    times: dict[str, list[float]] = {}
    for name in able:
        try:
            once(name)
        except ValueError:  # not this call
            continue
        times[name] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or any(len(found) < ROUNDS for found in times.values()):
        for name, found in times.items():
            found.append(once(name))
    medians = {name: statistics.median(found) for name, found in times.items()}
    return dict(sorted(medians.items(), key=lambda pair: pair[1]))
