"""A memory made ready to be asked."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kochi.attention.kernels.base import EVERYTHING, AttentionMask


@dataclass(frozen=True)
class Projected:
    """What is computed once per memory and shared by all queries.

    Every number in it is finite unless a projection overflowed: a memory with NaN, infinite or huge
    numbers was zeroed, before it was projected, where the mask given to ``project`` hid it, or,
    without a mask, where it was not finite.

    Args:
        keys: What the score is computed from.
        values: What the context is summed from.
        mask: True where queries may attend, for all calls; ``None``: everywhere.
        finite: False where the memory was NaN or infinite although no mask hid it: whoever may see
            such a place reads NaN, nobody else. ``None``: it was finite everywhere.
    """

    keys: Float[Tensor, "batch heads source key_size"]
    values: Float[Tensor, "batch heads source value_size"]
    mask: Bool[Tensor, "batch source"] | None = None
    finite: Bool[Tensor, "batch source"] | None = None

    @property
    def visible(self) -> AttentionMask:
        """Return what its own mask leaves to be seen, made ready once for all calls."""
        if self.mask is None:
            return EVERYTHING
        if torch.compiler.is_compiling():  # which cannot enter the lock of a cached property
            return AttentionMask(self.mask[:, None, None])
        return self._visible

    @cached_property
    def _visible(self) -> AttentionMask:
        assert self.mask is not None
        return AttentionMask(self.mask[:, None, None])

    def rows(self, rows: Int[Tensor, " chosen"]) -> "Projected":
        """Keep the given rows of the batch, in the given order (finished sentences drop out)."""
        keys = self.keys.index_select(0, rows)
        shared = self.values is self.keys
        return Projected(
            keys,
            keys if shared else self.values.index_select(0, rows),
            None if self.mask is None else self.mask.index_select(0, rows),
            None if self.finite is None else self.finite.index_select(0, rows),
        )

    def contiguous(self) -> "Projected":
        """Lay keys and values out head by head, for a memory that will be asked many times."""
        keys = self.keys.contiguous()
        values = keys if self.values is self.keys else self.values.contiguous()
        return Projected(keys, values, self.mask, self.finite)

    def append(self, other: "Projected") -> "Projected":
        """Put the places of another memory behind these (a step of causal self-attention)."""
        keys = torch.cat((self.keys, other.keys), dim=2)
        shared = self.values is self.keys and other.values is other.keys
        return Projected(
            keys,
            keys if shared else torch.cat((self.values, other.values), dim=2),
            _append_flags(self.mask, other.mask, self, other),
            _append_flags(self.finite, other.finite, self, other),
        )


def _append_flags(
    first: Tensor | None, second: Tensor | None, one: Projected, two: Projected
) -> Tensor | None:
    if first is None and second is None:
        return None
    if first is None:
        first = one.keys.new_ones(one.keys.shape[0], one.keys.shape[2], dtype=torch.bool)
    if second is None:
        second = two.keys.new_ones(two.keys.shape[0], two.keys.shape[2], dtype=torch.bool)
    return torch.cat((first, second), dim=1)


def clean_memory(
    memory_values: Float[Tensor, "batch source memory_size"],
    mask: Bool[Tensor, "batch source"] | None,
) -> tuple[Float[Tensor, "batch source memory_size"], Bool[Tensor, "batch source"] | None]:
    """Zero what must not be read; return the memory and, if needed, which places were finite.

    Zeroing has to come before any projection: the gradient of a weight is a sum over all places,
    and 0 times NaN is NaN.
    """
    if _surely_harmless(memory_values):
        return memory_values, None
    if mask is not None:
        return memory_values.masked_fill(~mask.unsqueeze(-1), 0.0), None
    finite = memory_values.isfinite().all(-1)
    return memory_values.masked_fill(~finite.unsqueeze(-1), 0.0), finite


def _surely_harmless(memory_values: Tensor) -> bool:
    """Tell by one norm whether all is finite and far from overflow (measured: 1/10 of zeroing).

    Only where looking at a number costs no wait for a device and no break of a graph.
    """
    if memory_values.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    bound = torch.finfo(memory_values.dtype).max ** 0.25
    return torch.linalg.vector_norm(memory_values.detach()).item() < bound
