"""The rule that says which kernel runs, and why."""

from typing import NamedTuple

import torch

from kochi.attention.kernels.base import Kernel
from kochi.attention.kernels.reference import reference
from kochi.attention.kernels.sdpa import sdpa, sdpa_refusal
from kochi.attention.scores.base import Score
from kochi.attention.selections.base import Selection

KERNELS: dict[str, Kernel] = {"reference": reference, "sdpa": sdpa}

SHORT = 64
"""On the CPU, the backward pass of SDPA costs more than plain matrix products up to this length."""


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

    A kernel named by the caller is kept. "auto" takes SDPA where it can serve, except on the CPU
    where it was measured slower than the reference: rows of at most `SHORT` places that need a
    gradient, and short rows in bfloat16 or float16.
    """
    if kernel != "auto":
        return kernel, "named by the caller"
    why = sdpa_refusal(score, selection)
    if why is not None:
        return "reference", why
    if case.device_type == "cpu" and 1 < case.target_length <= SHORT:
        short = f"on the CPU with at most {SHORT} queries and keys"
        if case.source_length <= SHORT and case.need_gradient:
            return "reference", f"{short} the backward pass of SDPA is slower"
        if case.source_length <= SHORT and case.dtype not in (torch.float32, torch.float64):
            return "reference", f"{short} SDPA is slower in half precision"
    return "sdpa", "the score is a dot product of projected vectors and the selection is soft"
