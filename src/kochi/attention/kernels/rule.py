"""The rule that says which kernel runs, and why."""

from typing import NamedTuple

import torch

from kochi.attention.kernels.base import Kernel
from kochi.attention.kernels.reference import reference
from kochi.attention.kernels.sdpa import sdpa, sdpa_refusal
from kochi.attention.scores.base import Score
from kochi.attention.selections.base import Selection

KERNELS: dict[str, Kernel] = {"reference": reference, "sdpa": sdpa}

SHORT = 256
"""Up to this length the backward pass of SDPA in bfloat16 on the CPU is slower than the reference
(measured with torch 2.13: 4 times at 30 places, 1.7 at 128, equal at 512; in float32 and float16,
and without a gradient, SDPA was level or faster at every length from 8 to 512)."""


class Case(NamedTuple):
    """What the rule looks at in a call."""

    target_length: int
    source_length: int
    dtype: torch.dtype
    device_type: str
    need_gradient: bool


def refusal(kernel: str, score: Score, selection: Selection) -> str | None:
    """Say why a kernel cannot serve these parts; ``None`` if it can.

    Raises:
        ValueError: There is no kernel of that name.
    """
    if kernel == "sdpa":
        return sdpa_refusal(score, selection)
    if kernel not in ("auto", "reference"):
        allowed = ", ".join(repr(name) for name in ("auto", *KERNELS))
        raise ValueError(f"kernel: got {kernel!r}, expected one of {allowed}")
    return None


def choose(kernel: str, score: Score, selection: Selection, case: Case) -> tuple[str, str]:
    """Return the name of the kernel that serves a call, and why.

    A kernel named by the caller is kept. "auto" takes SDPA where it can serve, except where it was
    measured slower than the reference: see `SHORT`.
    """
    if kernel != "auto":
        return kernel, "named by the caller"
    why = sdpa_refusal(score, selection)
    if why is not None:
        return "reference", why
    short = 1 < case.target_length <= SHORT and case.source_length <= SHORT
    half_on_cpu = case.device_type == "cpu" and case.dtype == torch.bfloat16
    if short and half_on_cpu and case.need_gradient:
        why = f"up to {SHORT} places in bfloat16 on the CPU the backward pass of SDPA is slower"
        return "reference", why
    return "sdpa", "the score is a dot product of projected vectors and the selection is soft"
