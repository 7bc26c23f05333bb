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
    triton_additive,
    triton_refusal,
    triton_runs_on,
)
from kochi.attention.kernels.windowed import windowed, windowed_refusal
from kochi.attention.scopes.base import Band
from kochi.attention.scores.additive import Additive
from kochi.attention.scores.location_aware import LocationAware
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

LARGE = 2**22
"""Numbers of the hidden layer of an additive score (batch x heads x queries x keys x hidden size)
up to which it is held whole, 16 megabytes in float32. Measurements of all limits, on two kinds of
processor: docs/decisions/0095-limits-of-kernels.md."""
KEPT = 2**20
"""Numbers of the hidden layer of a location-aware score for one query (batch x heads x keys x
hidden size) from which it is computed again for the gradient. That costs time and saves memory,
which grows with every query of a target that is computed step by step."""
LONG, WIDTHS = 512, 4
"""The banded kernel computes sequences longer than both: ``LONG`` positions, and so many
windows."""
SPARSE = 2**15
"""The windowed kernel computes calls of at least so many scores (sentences x queries x keys) over
memories of at least ``WIDTHS`` windows."""
SHORT_IN_HALF = 512
"""In 16 bits the gradient of SDPA on the CPU is several times slower than plain products, up to
this length."""
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
        bias = visible.bias
        need_gradient = torch.is_grad_enabled() and (
            query.requires_grad
            or keys.requires_grad
            or values.requires_grad
            or (bias is not None and bias.requires_grad)
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
            bias is not None,
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


class Able(NamedTuple):
    """What can compute some components, found out once for a module.

    Args:
        sdpa: Whether SDPA can.
        banded: Whether the banded kernel can.
        windowed: Whether the windowed kernel can.
        blocked: Whether the blocked kernel can.
        why: Why SDPA cannot.
    """

    sdpa: bool
    banded: bool
    windowed: bool
    blocked: bool
    why: str

    @classmethod
    def of(cls, parts: Components) -> "Able":
        """Ask the kernels."""
        why = sdpa_refusal(parts)
        return cls(
            why is None,
            banded_refusal(parts) is None,
            windowed_refusal(parts) is None,
            blocked_refusal(parts) is None,
            (why or "").replace("{", "{{").replace("}", "}}"),
        )


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


def choose(kernel: str, parts: Components, able: Able, case: Case) -> Chosen:
    """Return the kernel for a call, and the reason.

    A kernel named by the caller is always used. "auto" uses SDPA for dot products, except for short
    rows in training with 16 bits on the CPU (see `SHORT_IN_HALF`); the banded kernel for
    self-attention in a window over long sequences (see `LONG`); the windowed kernel for windows
    over long memories (see `SPARSE`); and the blocked kernel for an additive score with a large
    hidden layer (see `LARGE`). Everything else is computed by the reference. FlexAttention and the
    Triton kernel are used when they are named.

    A call that is compiled or exported must not depend on sizes: "auto" then uses SDPA for dot
    products and the reference for all else. Under the transforms of ``torch.func`` the reference is
    used, whatever is named: they cannot look into the other kernels. So it is on the device "meta",
    and in exported programs instead of a kernel whose loops depend on sizes.

    Raises:
        ValueError: The named kernel cannot compute this call.
    """
    if case.device_type == "meta" or is_transformed():
        return NO_VALUES
    if kernel != "auto":
        return _named(kernel, case)
    if is_traced():
        return COMPILED_SDPA if able.sdpa else COMPILED
    if able.windowed or able.banded:
        chosen = _choose_windows(able, case)
        if chosen is not None:
            return chosen
    if able.blocked:
        return _choose_additive(parts, case)
    if not able.sdpa:
        return Chosen("reference", able.why)
    slow_gradient = case.need_gradient and case.dtype.itemsize == 2 and case.device_type == "cpu"
    if slow_gradient and max(case.target_length, case.source_length) <= SHORT_IN_HALF:
        return DENSE
    return SDPA


NO_VALUES = Chosen("reference", "there are no values, or torch.func runs through the call")
COMPILED = Chosen("reference", "the call is compiled or exported")
COMPILED_SDPA = Chosen("sdpa", "the call is compiled or exported")
SDPA = Chosen("sdpa", "the score is a dot product of projected vectors and the selection is soft")
DENSE = Chosen(
    "dense",
    "in 16 bits on the CPU the gradient of plain products is faster up to {} positions",
    (SHORT_IN_HALF,),
)


def _named(kernel: str, case: Case) -> Chosen:
    """Check that a kernel can compute a call."""
    if kernel in LOOPS and torch.compiler.is_exporting():
        return Chosen("reference", "the exported program must run at other sizes")
    why = NOT_NOW[kernel](case) if kernel in NOT_NOW else None
    if why is not None:
        raise ValueError(f"kernel: {kernel!r} cannot serve this call: {why}")
    return Chosen(kernel, "named by the caller")


def _choose_windows(able: Able, case: Case) -> Chosen | None:
    """Return the kernel that leaves out the keys outside of windows, if that pays."""
    if case.band is None and case.window is None:
        return None
    width, source = _width(case), case.source_length
    if able.banded and case.band is not None:
        if case.target_length > max(LONG, WIDTHS * width) and _not_banded(case) is None:
            return Chosen("banded", NARROW_WINDOW, (width,))
        return None
    scores = case.batch * case.target_length * source
    if not able.windowed or source < WIDTHS * width or scores < SPARSE:
        return None
    if _not_windowed(case) is not None:
        return None
    return Chosen("windowed", "windows of {} positions leave most of {} keys out", (width, source))


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


def _not_flex(case: Case) -> str | None:
    if case.dropout:
        return "FlexAttention has no dropout"
    if case.device_type == "cpu" and case.need_gradient:
        return "FlexAttention computes no gradient on the CPU"
    if case.device_type != "cpu" and case.dtype.itemsize > 4:
        return f"FlexAttention takes numbers of at most 32 bits there, got {case.dtype}"
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
    if hidden <= LARGE:
        return WHOLE
    shown = "the hidden layer of the additive score has {:.2f} million numbers"
    return Chosen("blocked", shown + ": it is computed a block at a time", (hidden * 1e-6,))


WHOLE = Chosen(
    "reference",
    "the hidden layer of the additive score has at most {:.2f} million numbers: it may be held",
    (LARGE * 1e-6,),
)


def _choose_location_aware(hidden: int, need_gradient: bool) -> Chosen:
    shown = "each query has a hidden layer of {:.2f} million numbers"
    millions = hidden * 1e-6, KEPT * 1e-6
    if not need_gradient:
        why = shown + ", of which nothing is kept without a gradient"
        return Chosen("reference", why, millions)
    if hidden < KEPT:
        return Chosen("reference", shown + ": up to {:.0f} million it may be kept", millions)
    return Chosen("blocked", shown + ": it is computed anew for the gradient", millions)
