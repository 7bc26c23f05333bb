"""Random seeds of a run: every random number is a function of the run's seed and the step.

The generators are reseeded at every optimizer step, so that a resumed run needs no generator state,
and nothing between two steps (an evaluation, a progress bar) affects later ones.
"""

import torch

_MASK = 2**64 - 1


def derive(seed: int, *parts: int) -> int:
    """Mix a seed with further numbers into an independent 63-bit seed.

    The mixing is the finaliser of SplitMix64 (Steele et al. 2014, "Fast splittable pseudorandom
    number generators", figure 17, https://doi.org/10.1145/2660193.2660195).

    >>> derive(1, 2) == derive(1, 2), derive(1, 2) == derive(2, 1)
    (True, False)
    """
    state = seed & _MASK
    for part in parts:
        state = _mix((state + 0x9E3779B97F4A7C15 * (part + 1)) & _MASK)
    return state >> 1


def _mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed torch's generator of the CPU and of ``device``."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
