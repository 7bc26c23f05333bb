"""Random numbers that are a function of a seed and a counter, on any device.

Each sentence and each of its samples has its own stream, so that the rest of the batch cannot
change it; one tensor operation computes the whole batch.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def uniform(seeds: Int[Tensor, " batch"], width: int, step: int) -> Float[Tensor, "batch width"]:
    """Return float64 numbers in [0, 1): number ``step`` of the streams 1 to ``width`` of each seed.

    SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators",
    https://doi.org/10.1145/2660193.2660195, figure 17), used as a counter-based generator twice:
    seed and stream give a new seed, that and the step the number.
    """
    streams = torch.arange(1, width + 1, device=seeds.device)
    first = _mix(seeds.unsqueeze(1) + streams * _GOLDEN)
    bits = _shift(_mix(first + torch.tensor(step, device=seeds.device) * _GOLDEN), 11)
    return bits.double() * 2.0**-53


def _signed(constant: int) -> int:
    return constant - (1 << 64) if constant >> 63 else constant


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def _shift(values: Tensor, bits: int) -> Tensor:
    return (values >> bits) & ((1 << (64 - bits)) - 1)  # as if unsigned


def _mix(values: Tensor) -> Tensor:
    values = (values ^ _shift(values, 30)) * _FIRST
    values = (values ^ _shift(values, 27)) * _SECOND
    return values ^ _shift(values, 31)
