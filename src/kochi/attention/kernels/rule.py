"""The rule that says which kernel runs, and why."""

from typing import NamedTuple

import torch

from kochi.attention.kernels.base import Kernel
from kochi.attention.kernels.dense import dense
from kochi.attention.kernels.reference import reference
from kochi.attention.kernels.sdpa import sdpa, sdpa_refusal
from kochi.attention.parts import Parts

KERNELS: dict[str, Kernel] = {"reference": reference, "sdpa": sdpa, "dense": dense}

SHORT_WITH_GRADIENT = {torch.bfloat16: 256, torch.float16: 256}
SHORT = 128
SHORT_WITHOUT_GRADIENT = 96
"""On the CPU two plain products beat SDPA up to these lengths. Measured with torch 2.13 on two
cores, 4 heads of 32, SDPA against dense in milliseconds. Forward and backward in float32: 11.7
against 4.5 at 250 rows of 16, 8.8 against 5.9 at 64 of 64, 7.1 against 6.7 at 16 of 128, 5.5
against 6.2 at 4 of 256; in bfloat16 38 against 4.4 at 16 and 8.0 against 4.2 at 256. Without a
gradient 0.60 against 0.23 for 64 x 5 queries at 16 keys, level at 80; for one query at a time SDPA
is always ahead."""


class Case(NamedTuple):
    """What the rule looks at in a call."""

    target_length: int
    source_length: int
    dtype: torch.dtype
    device_type: str
    need_gradient: bool


def refusal(kernel: str, parts: Parts) -> str | None:
    """Say why a kernel cannot serve these parts; ``None`` if it can.

    Raises:
        ValueError: There is no kernel of that name.
    """
    if kernel in ("sdpa", "dense"):
        return sdpa_refusal(parts)
    if kernel not in ("auto", "reference"):
        allowed = ", ".join(repr(name) for name in ("auto", *KERNELS))
        raise ValueError(f"kernel: got {kernel!r}, expected one of {allowed}")
    return None


def choose(kernel: str, parts: Parts, case: Case) -> tuple[str, str]:
    """Return the name of the kernel that serves a call, and why.

    A kernel named by the caller is kept. "auto" takes SDPA where it can serve, except for short
    rows on the CPU, where the dense products were measured faster: see `SHORT`.
    """
    if kernel != "auto":
        return kernel, "named by the caller"
    why = sdpa_refusal(parts)
    if why is not None:
        return "reference", why
    longest = max(case.target_length, case.source_length)
    if case.need_gradient:
        limit = SHORT_WITH_GRADIENT.get(case.dtype, SHORT)
    else:
        limit = SHORT_WITHOUT_GRADIENT if case.target_length > 1 else 0
    if case.device_type == "cpu" and longest <= limit:
        return "dense", f"up to {limit} places on the CPU two plain products are faster than SDPA"
    return "sdpa", "the score is a dot product of projected vectors and the selection is soft"
