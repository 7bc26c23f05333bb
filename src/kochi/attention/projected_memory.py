"""A memory that has been projected to keys and values."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kochi.attention.kernels.base import EVERYTHING, AttentionMask
from kochi.transforms import is_readable, is_traced


@dataclass(frozen=True)
class ProjectedMemory:
    """Keys and values of a memory, computed once and shared by all queries.

    All values are finite unless a projection overflowed: a memory with NaN, infinite or huge values
    is zeroed before projection, at the masked positions if ``project`` was given a mask, otherwise
    at the non-finite positions.

    Args:
        keys: The vectors that queries are scored against.
        values: The vectors that the context is a weighted sum of.
        mask: True where queries may attend, for all calls; ``None`` means everywhere.
        finite: False where an unmasked position was NaN or infinite. Queries that may attend to
            such a position get NaN, and no others. ``None`` means that all were finite.
    """

    keys: Float[Tensor, "batch heads source key_size"]
    values: Float[Tensor, "batch heads source value_size"]
    mask: Bool[Tensor, "batch source"] | None = None
    finite: Bool[Tensor, "batch source"] | None = None

    _origin: ClassVar["Origin | None"] = None  # set on the instance, by `projected_by`

    def projected_by(self, module: nn.Module, *, counted: bool) -> "ProjectedMemory":
        """Remember what projected this memory, to tell the use of another module from a mistake.

        A compiled program, a copy and a file do not remember it.

        Args:
            module: What holds the weights of the projection.
            counted: Whether rotary positions were counted from 0 because none were given.
        """
        if not is_traced():
            object.__setattr__(self, "_origin", Origin(module, counted))
        return self

    def was_projected_by(self, module: nn.Module) -> bool:
        """Return False if another module's weights projected this memory."""
        origin = self._origin
        return origin is None or origin.module is module

    def _like(self, other: "ProjectedMemory", counted: bool | None = None) -> "ProjectedMemory":
        origin = other._origin
        if origin is not None and not is_traced():
            origin = origin if counted is None else origin._replace(counted=counted)
            object.__setattr__(self, "_origin", origin)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return ProjectedMemory, (self.keys, self.values, self.mask, self.finite)

    @property
    def visible(self) -> AttentionMask:
        """Return the attention mask of the memory alone; it is computed once for all calls."""
        if self.mask is None:
            return EVERYTHING
        if is_traced():  # the compiler cannot trace the lock of a cached property
            return AttentionMask(self.mask[:, None, None])
        return self._visible

    @cached_property
    def _visible(self) -> AttentionMask:
        assert self.mask is not None
        return AttentionMask(self.mask[:, None, None])

    def rows(self, rows: Int[Tensor, " chosen"]) -> "ProjectedMemory":
        """Select rows of the batch, in the given order, for instance the unfinished sentences."""
        keys = self.keys.index_select(0, rows)
        shared = self.values is self.keys
        return ProjectedMemory(
            keys,
            keys if shared else self.values.index_select(0, rows),
            None if self.mask is None else self.mask.index_select(0, rows),
            None if self.finite is None else self.finite.index_select(0, rows),
        )._like(self)

    def contiguous(self) -> "ProjectedMemory":
        """Make keys and values contiguous per head, for a memory that is used many times."""
        keys = self.keys.contiguous()
        values = keys if self.values is self.keys else self.values.contiguous()
        return ProjectedMemory(keys, values, self.mask, self.finite)._like(self)

    def append(self, other: "ProjectedMemory") -> "ProjectedMemory":
        """Append the positions of another memory, as in a step of causal self-attention.

        Raises:
            ValueError: The other memory has rotary positions from 0 on, because none were given.
        """
        origin, length = other._origin, self.keys.shape[2]
        if origin is not None and origin.counted and length:
            raise ValueError(
                f"append: the keys to append were rotated as positions 0, 1, ..., but stand at "
                f"{length}; pass them to project: positions=torch.arange({length}, ...)"
            )
        keys = torch.cat((self.keys, other.keys), dim=2)
        shared = self.values is self.keys and other.values is other.keys
        return ProjectedMemory(
            keys,
            keys if shared else torch.cat((self.values, other.values), dim=2),
            _append_flags(self.mask, other.mask, self, other),
            _append_flags(self.finite, other.finite, self, other),
        )._like(self, counted=False)


class Origin(NamedTuple):
    """What projected a memory.

    Args:
        module: What holds the weights of the projection.
        counted: Whether rotary positions were counted from 0 because none were given.
    """

    module: nn.Module
    counted: bool


def _append_flags(
    first: Tensor | None, second: Tensor | None, one: ProjectedMemory, two: ProjectedMemory
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
    """Zero masked or non-finite positions; return the memory and, if needed, the finite positions.

    Zeroing must precede any projection: the gradient of a weight is a sum over all positions, and 0
    times NaN is NaN.
    """
    if _surely_harmless(memory_values):
        return memory_values, None
    if mask is not None:
        return memory_values.masked_fill(~mask.unsqueeze(-1), 0.0), None
    finite = memory_values.isfinite().all(-1)
    return memory_values.masked_fill(~finite.unsqueeze(-1), 0.0), finite


def _surely_harmless(memory_values: Tensor) -> bool:
    """Check with one norm that all values are finite and far from overflow.

    This takes a tenth of the time of zeroing. It is skipped where reading a value would synchronise
    with a device or is not possible.
    """
    if memory_values.device.type != "cpu" or not is_readable(memory_values):
        return False
    bound = torch.finfo(memory_values.dtype).max ** 0.25
    norm: Tensor = cast(Any, torch.linalg).vector_norm(memory_values.detach())
    return norm.item() < bound


torch.export.register_dataclass(ProjectedMemory, serialized_type_name="kochi.ProjectedMemory")
