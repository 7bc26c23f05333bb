"""Choose the kernel of a call."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from kochi.attention.components import Components
from kochi.attention.kernels.banded import banded, banded_refusal
from kochi.attention.kernels.base import AttentionMask, Kernel
from kochi.attention.kernels.blocked import blocked, blocked_refusal
from kochi.attention.kernels.dense import dense
from kochi.attention.kernels.flex import flex
from kochi.attention.kernels.reference import reference
from kochi.attention.kernels.sdpa import dot_refusal, sdpa, sdpa_refusal
from kochi.attention.kernels.triton_additive import (
    QUERIES,
    triton_additive,
    triton_is_installed,
    triton_refusal,
    triton_runs_on,
)
from kochi.attention.kernels.windowed import windowed, windowed_refusal
from kochi.attention.scopes.base import Band
from kochi.attention.scores.additive import Additive
from kochi.attention.scores.location_aware import LocationAware
from kochi.processor import Processor, this_processor

KERNELS: dict[str, Kernel] = {
    "reference": reference,
    "sdpa": sdpa,
    "dense": dense,
    "blocked": blocked,
    "banded": banded,
    "flex": flex,
    "triton": triton_additive,
    "windowed": windowed,
}
REFUSALS = {
    "sdpa": sdpa_refusal,
    "dense": dot_refusal,
    "blocked": blocked_refusal,
    "banded": banded_refusal,
    "flex": sdpa_refusal,
    "triton": triton_refusal,
    "windowed": windowed_refusal,
}

SHORT, SHORT_ON_ZEN_5 = 96, 256
SHORT_IN_HALF = 1024
MANY = 32
"""On the CPU two plain products beat SDPA up to these lengths, for one query per sentence with at
least so many sentences. Measurements of all limits: docs/decisions/0095-limits-of-kernels.md."""


def short_on(processor: Processor) -> int:
    """Return the length up to which plain products in float32 are used; see `SHORT`."""
    return SHORT_ON_ZEN_5 if processor.is_zen_5 else SHORT


SHORT_HERE = short_on(this_processor())  # computed once, so that a compiled model reads no file

LARGE = 2**23
LARGE_ON_CPU = {  # one query a sentence, in 16 bits, with a gradient
    (True, False, True): 2**19,
    (True, False, False): 2**17,
    (True, True, True): 2**27,
    (True, True, False): 2**18,
    (False, False, True): 2**19,
    (False, False, False): 2**17,
    (False, True, True): 2**20,
    (False, True, False): 2**19,
}
"""Numbers of the hidden layer of an additive score (batch x heads x queries x keys x hidden size)
from which it is computed in blocks."""
KEPT = 2**20
"""Numbers of the hidden layer of a location-aware score for one query (batch x heads x keys x
hidden size) from which it is computed again for the gradient. That costs time and saves memory,
which grows with every query of a target that is computed step by step."""
LONG, WIDTHS = 512, 4
"""The banded kernel computes sequences longer than both: ``LONG`` positions, and so many
windows."""

FAR = 2048
"""On CUDA "auto" takes FlexAttention from so many queries and keys if it can skip blocks that SDPA
would compute. Not measured."""
SPARSE_LENGTH, SPARSE_WIDTHS = 128, 4
SPARSE_ALONE, SPARSE_TOGETHER, SPARSE_ELSEWHERE = 2**13, 2**16, 2**24
"""The windowed kernel computes memories at least as long as both: ``SPARSE_LENGTH`` positions, and
so many windows; and calls of at least so many scores (sentences x queries x keys): where windows
cover less than the memory and are read one by one, otherwise, and on devices where only memory
counts because nothing was measured."""
FULL_MASK = "the mask is not the same for all queries"


class Case(NamedTuple):
    """The properties of a call that determine its kernel."""

    target_length: int
    source_length: int
    dtype: torch.dtype
    device_type: str
    need_gradient: bool
    batch: int = 1
    band: Band | None = None
    flat_mask: bool = True
    triangle: bool = False
    bias: bool = False
    dropout: float = 0.0
    window: int | None = None

    @classmethod
    def of(
        cls,
        query: Float[Tensor, "batch heads target size"],
        keys: Float[Tensor, "batch heads source key_size"],
        values: Float[Tensor, "batch heads source value_size"],
        visible: AttentionMask,
        dropout: float,
    ) -> "Case":
        """Extract the properties of a call."""
        tensors = query, keys, values, visible.bias
        need_gradient = torch.is_grad_enabled() and any(
            tensor is not None and tensor.requires_grad for tensor in tensors
        )
        mask = visible.mask
        return cls(
            query.shape[2],
            keys.shape[2],
            query.dtype,
            query.device.type,
            need_gradient,
            query.shape[0],
            visible.band,
            mask is None or mask.shape[1:3] == (1, 1),
            visible.triangle,
            visible.bias is not None,
            dropout,
            None if visible.windows is None else visible.windows.width,
        )


def refusal(kernel: str, parts: Components) -> str | None:
    """Return why a kernel cannot compute these components; ``None`` if it can.

    Raises:
        ValueError: There is no kernel of that name.
    """
    if kernel in REFUSALS:
        return REFUSALS[kernel](parts)
    if kernel not in ("auto", "reference"):
        allowed = ", ".join(repr(name) for name in ("auto", *KERNELS))
        raise ValueError(f"kernel: got {kernel!r}, expected one of {allowed}")
    return None


def choose(kernel: str, parts: Components, case: Case) -> tuple[str, str]:
    """Return the name of the kernel for a call, and the reason.

    A kernel named by the caller is always used. "auto" uses the banded kernel for self-attention in
    a window over long sequences; the windowed kernel for windows over long memories (see
    `SPARSE_LENGTH`); the blocked kernel for an additive score with a large hidden layer (see
    `LARGE`), on CUDA the Triton kernel; and SDPA for dot products, except for short rows on the
    CPU, where dense products were measured to be faster (see `SHORT`), and on CUDA where
    FlexAttention can skip many blocks (see `FAR`).

    Raises:
        ValueError: The named kernel cannot compute this call.
    """
    if kernel in NOT_NOW:
        why = NOT_NOW[kernel](case)
        if why is not None:
            raise ValueError(f"kernel: {kernel!r} cannot serve this call: {why}")
    if kernel != "auto":
        return kernel, "named by the caller"
    in_one_sequence = case.band is not None and banded_refusal(parts) is None
    if windowed_refusal(parts) is None and _not_windowed(case) is None and not in_one_sequence:
        why = _windows_pay(case)
        if why is not None:
            return "windowed", why
    if blocked_refusal(parts) is None:
        return _choose_additive(parts, case)
    why = sdpa_refusal(parts)
    if why is not None:
        return "reference", why
    if case.device_type == "cuda" and triton_is_installed() and _not_flex(case) is None:
        skipped = _skipped(case)
        if skipped is not None:
            return "flex", f"{skipped} (a limit not measured on CUDA)"
    if in_one_sequence and _not_banded(case) is None:
        width = _width(case)
        if case.target_length > max(LONG, WIDTHS * width):
            return "banded", f"the window of {width} positions leaves most keys out"
    return _choose_dot(case)


def _not_banded(case: Case) -> str | None:
    if case.band is None:
        return "queries and keys are not one sequence that stands at 0, 1, 2, ..."
    return None if case.flat_mask else FULL_MASK


def _not_windowed(case: Case) -> str | None:
    if case.window is None and case.band is None:
        return "the keys do not stand at 0, 1, 2, ..."
    return None if case.flat_mask else FULL_MASK


def _width(case: Case) -> int:
    """Return the number of positions in a band or a window."""
    if case.band is not None:
        return case.band.left + case.band.right + 1
    assert case.window is not None
    return case.window


def _windows_pay(case: Case) -> str | None:
    """Return why the windowed kernel is faster; ``None`` if it is not. See `SPARSE_LENGTH`."""
    width = _width(case)
    source, scores = case.source_length, case.batch * case.target_length * case.source_length
    alone = case.target_length * width <= source
    fewest = SPARSE_ALONE if alone else SPARSE_TOGETHER
    if case.device_type != "cpu":
        fewest = SPARSE_ELSEWHERE
    if source < max(SPARSE_LENGTH, SPARSE_WIDTHS * width) or scores < fewest:
        return None
    return f"windows of {width} positions leave most of {source} keys out"


def _not_flex(case: Case) -> str | None:
    if case.dropout:
        return "FlexAttention has no dropout"
    if case.device_type == "cpu" and case.need_gradient:
        return "FlexAttention computes no gradient on the CPU"
    if case.device_type != "cpu" and case.dtype.itemsize > 4:
        return f"FlexAttention takes numbers of at most 32 bits there, got {case.dtype}"
    return None


def _skipped(case: Case) -> str | None:
    """Return what FlexAttention would skip; ``None`` if too little."""
    if min(case.target_length, case.source_length) < FAR:
        return None
    if case.band is not None:
        width = _width(case)
        if case.target_length > WIDTHS * width:
            return f"the window of {width} positions leaves most keys out"
    elif case.triangle and case.bias:
        return "what the triangle hides is skipped, also with a term on the scores"
    return None


def _not_triton(case: Case) -> str | None:
    if not triton_runs_on(case.device_type):
        return f"Triton needs CUDA or TRITON_INTERPRET=1, got the device {case.device_type}"
    if case.dropout:
        return "it has no dropout"
    if case.dtype.itemsize > 4:
        return f"it takes numbers of at most 32 bits, got {case.dtype}"
    ordered = case.device_type == "cuda" and torch.are_deterministic_algorithms_enabled()
    if ordered and case.need_gradient:
        return "it adds gradients in no fixed order, but deterministic algorithms are enabled"
    return None


NOT_NOW = {
    "banded": _not_banded,
    "windowed": _not_windowed,
    "flex": _not_flex,
    "triton": _not_triton,
}


def _choose_additive(parts: Components, case: Case) -> tuple[str, str]:
    score = parts.score
    assert isinstance(score, Additive | LocationAware)
    hidden = score.vector.numel() * case.batch * case.target_length * case.source_length
    if isinstance(score, LocationAware):
        return _choose_location_aware(hidden // max(1, case.target_length), case.need_gradient)
    shown = f"the hidden layer of the additive score has {hidden * 1e-6:.2f} million numbers"
    large = LARGE
    if case.device_type == "cpu":
        alone, narrow = case.target_length == 1, case.dtype.itemsize == 2
        large = LARGE_ON_CPU[alone, narrow, case.need_gradient]
    if hidden < large:
        return "reference", f"{shown}: up to {large * 1e-6:.2f} million it may be held whole"
    on_cuda = case.device_type == "cuda" and case.target_length >= QUERIES
    if on_cuda and triton_refusal(parts) is None and _not_triton(case) is None:
        return "triton", f"{shown}: it is never held (a limit not measured on CUDA)"
    return "blocked", f"{shown}: it is computed a block at a time"


def _choose_location_aware(hidden: int, need_gradient: bool) -> tuple[str, str]:
    shown = f"each query has a hidden layer of {hidden * 1e-6:.2f} million numbers"
    if not need_gradient:
        return "reference", f"{shown}, of which nothing is kept without a gradient"
    if hidden < KEPT:
        return "reference", f"{shown}: up to {KEPT * 1e-6:.0f} million it may be kept"
    return "blocked", f"{shown}: it is computed anew for the gradient"


def _choose_dot(case: Case) -> tuple[str, str]:
    longest = max(case.target_length, case.source_length)
    limit = SHORT_HERE
    if case.dtype.itemsize == 2:
        limit = SHORT_IN_HALF
    if case.target_length == 1 and case.batch < MANY:
        limit = 0
    if case.device_type == "cpu" and longest <= limit:
        return (
            "dense",
            f"up to {limit} positions on the CPU two plain products are faster than SDPA",
        )
    return "sdpa", "the score is a dot product of projected vectors and the selection is soft"
