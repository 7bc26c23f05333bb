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
from kochi.transforms import is_traced, is_transformed

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
LOOPS = ("banded", "blocked", "triton", "windowed")
"""Kernels whose Python code depends on sizes."""

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
NARROW_WINDOW = "the window of {} positions leaves most keys out"
Why = tuple[str, tuple[int | float, ...]]
BIAS = "a bias is added to the scores"
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


class Chosen(NamedTuple):
    """A kernel and the reason for it, which is only spelled out when somebody asks.

    Args:
        name: The name of the kernel.
        why: The reason, with a field of `str.format` for each number.
        numbers: The numbers.
    """

    name: str
    why: str
    numbers: tuple[int | float, ...] = ()

    @property
    def reason(self) -> str:
        """The reason as a sentence."""
        return self.why.format(*self.numbers)


def choose(kernel: str, parts: Components, case: Case) -> Chosen:
    """Return the kernel for a call, and the reason.

    A kernel named by the caller is always used. "auto" uses the banded kernel for self-attention in
    a window over long sequences; the windowed kernel for windows over long memories (see
    `SPARSE_LENGTH`); the blocked kernel for an additive score with a large hidden layer (see
    `LARGE`), on CUDA the Triton kernel; and SDPA for dot products, except for short rows on the
    CPU, where dense products were measured to be faster (see `SHORT`), and on CUDA where
    FlexAttention can skip many blocks (see `FAR`).

    A call that is compiled or exported must not depend on sizes: "auto" then uses SDPA for dot
    products and the reference for all else. Under the transforms of ``torch.func`` the reference is
    used, whatever is named: they cannot look into the other kernels. So it is on the device "meta",
    and in exported programs instead of a kernel whose loops depend on sizes.

    Raises:
        ValueError: The named kernel cannot compute this call.
    """
    if case.device_type == "meta" or is_transformed():
        return Chosen("reference", "there are no values, or torch.func runs through the call")
    if kernel in LOOPS and torch.compiler.is_exporting():
        return Chosen("reference", "the exported program must run at other sizes")
    if kernel in NOT_NOW:
        why = NOT_NOW[kernel](case)
        if why is not None:
            raise ValueError(f"kernel: {kernel!r} cannot serve this call: {why}")
    if kernel != "auto":
        return Chosen(kernel, "named by the caller")
    if is_traced():
        plain = "sdpa" if sdpa_refusal(parts) is None else "reference"
        return Chosen(plain, "the call is compiled or exported")
    in_one_sequence = case.band is not None and banded_refusal(parts) is None
    if windowed_refusal(parts) is None and _not_windowed(case) is None and not in_one_sequence:
        why = _windows_pay(case)
        if why is not None:
            return Chosen("windowed", *why)
    if blocked_refusal(parts) is None:
        return _choose_additive(parts, case)
    why = sdpa_refusal(parts)
    if why is not None:
        return Chosen("reference", why.replace("{", "{{").replace("}", "}}"))
    if case.device_type == "cuda" and triton_is_installed() and _not_flex(case) is None:
        skipped = _skipped(case)
        if skipped is not None:
            return Chosen("flex", skipped[0] + " (a limit not measured on CUDA)", skipped[1])
    if in_one_sequence and _not_banded(case) is None:
        width = _width(case)
        if case.target_length > max(LONG, WIDTHS * width):
            return Chosen("banded", NARROW_WINDOW, (width,))
    return _choose_dot(case)


def _not_banded(case: Case) -> str | None:
    if case.band is None:
        return "queries and keys are not one sequence that stands at 0, 1, 2, ..."
    if case.bias:
        return BIAS
    return None if case.flat_mask else FULL_MASK


def _not_windowed(case: Case) -> str | None:
    if case.window is None and case.band is None:
        return "the keys do not stand at 0, 1, 2, ..."
    if case.bias:
        return BIAS
    return None if case.flat_mask else FULL_MASK


def _width(case: Case) -> int:
    """Return the number of positions in a band or a window."""
    if case.band is not None:
        return case.band.left + case.band.right + 1
    assert case.window is not None
    return case.window


def _windows_pay(case: Case) -> Why | None:
    """Return why the windowed kernel is faster; ``None`` if it is not. See `SPARSE_LENGTH`."""
    width = _width(case)
    source, scores = case.source_length, case.batch * case.target_length * case.source_length
    alone = case.target_length * width <= source
    fewest = SPARSE_ALONE if alone else SPARSE_TOGETHER
    if case.device_type != "cpu":
        fewest = SPARSE_ELSEWHERE
    if source < max(SPARSE_LENGTH, SPARSE_WIDTHS * width) or scores < fewest:
        return None
    return "windows of {} positions leave most of {} keys out", (width, source)


def _not_flex(case: Case) -> str | None:
    if case.dropout:
        return "FlexAttention has no dropout"
    if case.device_type == "cpu" and case.need_gradient:
        return "FlexAttention computes no gradient on the CPU"
    if case.device_type != "cpu" and case.dtype.itemsize > 4:
        return f"FlexAttention takes numbers of at most 32 bits there, got {case.dtype}"
    return None


def _skipped(case: Case) -> Why | None:
    """Return what FlexAttention would skip; ``None`` if too little."""
    if min(case.target_length, case.source_length) < FAR:
        return None
    if case.band is not None:
        width = _width(case)
        if case.target_length > WIDTHS * width:
            return NARROW_WINDOW, (width,)
    elif case.triangle and case.bias:
        return "what the triangle hides is skipped, also with a term on the scores", ()
    return None


def _not_triton(case: Case) -> str | None:
    if not triton_runs_on(case.device_type):
        return f"Triton needs CUDA or TRITON_INTERPRET=1, got the device {case.device_type}"
    if case.dropout:
        return "it has no dropout"
    if case.bias:
        return BIAS
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


def _choose_additive(parts: Components, case: Case) -> Chosen:
    score = parts.score
    assert isinstance(score, Additive | LocationAware)
    hidden = score.vector.numel() * case.batch * case.target_length * case.source_length
    if isinstance(score, LocationAware):
        return _choose_location_aware(hidden // max(1, case.target_length), case.need_gradient)
    shown = "the hidden layer of the additive score has {:.2f} million numbers"
    large = LARGE
    if case.device_type == "cpu":
        alone, narrow = case.target_length == 1, case.dtype.itemsize == 2
        large = LARGE_ON_CPU[alone, narrow, case.need_gradient]
    millions = hidden * 1e-6, large * 1e-6
    if hidden < large:
        return Chosen("reference", shown + ": up to {:.2f} million it may be held whole", millions)
    on_cuda = case.device_type == "cuda" and case.target_length >= QUERIES
    if on_cuda and triton_refusal(parts) is None and _not_triton(case) is None:
        why = shown + ": it is never held (a limit not measured on CUDA)"
        return Chosen("triton", why, millions)
    return Chosen("blocked", shown + ": it is computed a block at a time", millions)


def _choose_location_aware(hidden: int, need_gradient: bool) -> Chosen:
    shown = "each query has a hidden layer of {:.2f} million numbers"
    millions = hidden * 1e-6, KEPT * 1e-6
    if not need_gradient:
        why = shown + ", of which nothing is kept without a gradient"
        return Chosen("reference", why, millions)
    if hidden < KEPT:
        return Chosen("reference", shown + ": up to {:.0f} million it may be kept", millions)
    return Chosen("blocked", shown + ": it is computed anew for the gradient", millions)


def _choose_dot(case: Case) -> Chosen:
    longest = max(case.target_length, case.source_length)
    limit = SHORT_HERE
    if case.dtype.itemsize == 2:
        limit = SHORT_IN_HALF
    if case.target_length == 1 and case.batch < MANY:
        limit = 0
    if case.device_type == "cpu" and longest <= limit:
        why = "up to {} positions on the CPU two plain products are faster than SDPA"
        return Chosen("dense", why, (limit,))
    return Chosen(
        "sdpa", "the score is a dot product of projected vectors and the selection is soft"
    )
