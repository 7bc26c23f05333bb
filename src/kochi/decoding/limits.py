"""Limits on the length of outputs."""

import math

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from kochi.memory import Memory


def length_limits(
    mask: Bool[Tensor, "batch source"], ratio: float = 2.0, extra: int = 20
) -> Int[Tensor, " batch"]:
    """Return each sentence's maximum length: ratio * source length + extra.

    Lengths include the end mark, on both sides.

    >>> mask = torch.tensor([[True, True, True], [True, False, False]])
    >>> length_limits(mask, ratio=1.5, extra=2).tolist()
    [6, 3]
    """
    return (mask.sum(1) * ratio).floor().long() + extra


def check_limits(max_length: int | Int[Tensor, " batch"], memory: Memory) -> Int[Tensor, " batch"]:
    """Return one maximum length per sentence, on the memory's device.

    Raises:
        ValueError: A maximum length is below 1, or there is not one per sentence.
    """
    batch = len(memory.mask)
    limits = torch.as_tensor(max_length, device=memory.mask.device).long()
    if limits.ndim == 0:
        limits = limits.expand(batch)
    if limits.shape != (batch,):
        raise ValueError(f"max_length: expected {batch} lengths, got shape {tuple(limits.shape)}")
    if batch and int(limits.min()) < 1:
        raise ValueError(f"max_length must be at least 1, got {int(limits.min())}")
    return limits


def check_options(length_penalty: float, min_length: int) -> None:
    """Check the options that all searches share.

    Raises:
        ValueError: ``length_penalty`` is negative or infinite, or ``min_length`` is negative.
    """
    if not (math.isfinite(length_penalty) and length_penalty >= 0):
        raise ValueError(f"length_penalty must be finite and at least 0, got {length_penalty}")
    if min_length < 0:
        raise ValueError(f"min_length must be at least 0, got {min_length}")
