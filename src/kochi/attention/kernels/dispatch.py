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
"""On the CPU two plain products beat SDPA up to these lengths, for one query a sentence with at
least so many sentences. Measured with torch 2.13 on one core, 4 heads of 32, SDPA against dense in
milliseconds. Forward and backward in float32: 1.9 against 1.4 at 64 rows of 16, 13.1 against 14.3
at 64 of 64, 9.9 against 11.3 at 16 of 128, 10.3 against 15.5 at 4 of 256; in bfloat16 26 against
2.9 at 16 and 27 against 20 at 1,024. Without a gradient 0.63 against 0.48 at 16, 3.2 against 6.1 at
128; in bfloat16 3.2 against 2.7 at 256, 9.3 against 8.2 at 1,024. One query a sentence, on two
cores: 0.15 against 0.12 at 64 sentences of 30 keys, 0.04 against 0.05 at 8 of them. On two cores of
an AMD EPYC of the fifth generation (Zen 5) plain products gain more, in float32: 3.6 against 3.3 at
16 of 128, 3.2 against 3.4 at 4 of 256, 6.1 against 6.9 at 2 of 512, without a gradient 1.09 against
1.03, 0.95 against 1.02 and 1.9 against 2.2."""


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
from which it is computed by blocks. Measured with torch 2.13 on two cores of an AMD EPYC (Zen 5),
hidden size 256, whole against blocked in milliseconds. One query a sentence, float32, with a
gradient: 0.53 against 0.59 at 0.26 million numbers, 1.95 against 1.81 at 1.0, 17 against 13 at 6.6;
without: 0.03 against 0.08 at 0.01 million, 0.33 against 0.16 at 0.26; in bfloat16 1.6 against 1.9
at 1.0 and 9.7 against 12.7 at 6.6 million with a gradient (the limit is there for the memory's
sake), 0.24 against 0.21 at 0.26 without. Several queries, float32, with a gradient:
0.29 against 0.46 at 0.1 million, 2.6 against 1.5 at 1.6, 163 against 20 at 34; without:
0.14 against 0.14 at 0.1 million, 1.9 against 0.46 at 1.6; in bfloat16 0.37 against 0.58 at 0.1 and
1.9 against 1.6 at 1.6 million with a gradient, 0.13 against 0.18 at 0.1 and 1.1 against 0.51 at 1.6
without."""
KEPT = 2**20
"""Numbers of the hidden layer of a location-aware score for one query (batch x heads x keys x
hidden size) from which nothing of it is kept for the gradient. That costs time and saves memory,
which grows with every query of a target asked one after the other: 4 megabytes a query in float32
here. Measured on one core of a busy CPU, forward and backward in milliseconds, kept against
computed anew: 104 against 133 with 10 queries of 0.2 million, 1,720 against 2,270 with 60 of 1.0
million, 3,430 against 4,150 with 40 of 2.0 million."""
LONG, WIDTHS = 512, 4
"""The banded kernel serves sequences longer than both: ``LONG`` places, and so many windows.
Measured on the CPU with two cores, forward and backward, 4 heads of 32, SDPA against banded in
milliseconds: 199 against 181 at 16 sequences of 512 places and a window of 33, 23 against 37 at one
of them; with a window of 128 one sequence of 2,048 80 against 33, of 8,192 1,110 against 88."""

FAR = 2048
"""On CUDA "auto" takes FlexAttention from so many queries and keys, where blocks of them can be
skipped that SDPA would compute. Not measured: no CUDA device was at hand, nor for `LARGE` there."""
SPARSE_LENGTH, SPARSE_WIDTHS = 128, 4
SPARSE_ALONE, SPARSE_TOGETHER, SPARSE_ELSEWHERE = 2**13, 2**16, 2**24
"""The windowed kernel serves memories at least as long as both: ``SPARSE_LENGTH`` places, and so
many windows; and calls of at least so many scores (sentences x queries x keys): where windows cover
less than the memory and are read one by one, otherwise, and on devices where only memory counts
because nothing was measured. Measured with torch 2.13 on one core of a busy CPU, the fastest of
several turns, in float32, projections of 128 numbers included, the fastest other kernel against
windowed in milliseconds. Forward and backward, 4 heads of 32, windows of 21 places: local-p 53
against 55 at 16 sentences of 100, 198 against 98 at 16 of 200, 638 against 76 at 2 of 1,000, 11,700
against 144 at one of 4,000; local-m 29 against 32, 69 against 58, 159 against 35, 1,518 against 90;
at one sentence of 150 5.4 against 5.7 and 2.8 against 4.0, at one of 300 16 against 7.7 and 5.8
against 5.2. Windows of 129: local-p 27 against 29 at 4 sentences of 250, 190 against 98 at 4 of
500; local-m 13 against 18, 49 against 50, at 2 of 1,000 89 against 41. The additive score in
windows of 21: 88 against 89 at 8 of 100, 422 against 115 at 4 of 300. One query a sentence, one
head of 128, no gradient: local-p 0.81 against 0.78 at 8 sentences of 1,000 keys, 1.3 against 1.3 at
64 of 150, 14 against 2.6 at 64 of 1,000; with a gradient 11 against 3.3, 10 against 4.3, 82 against
6.3."""
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
            return "banded", f"the window of {width} places leaves most keys out"
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
    return f"windows of {width} places leave most of {source} keys out"


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
            return f"the window of {width} places leaves most keys out"
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
        return "dense", f"up to {limit} places on the CPU two plain products are faster than SDPA"
    return "sdpa", "the score is a dot product of projected vectors and the selection is soft"
