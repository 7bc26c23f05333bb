"""Requests for a part of an alignment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

Indices = slice | Sequence[int]


@dataclass(frozen=True)
class AlignmentOf:
    """Request the alignment of a subset of queries and heads.

    Pass it as ``need_alignment=AlignmentOf(queries=[0])``. The returned alignment has only these
    rows and heads, in this order. Kernels that need an extra pass for the alignment compute only
    these rows, so that three rows of 10,000 are cheap. Indices are those of a Python list: -1 is
    the last.

    >>> AlignmentOf(queries=[-1, 0], heads=slice(2)).rows(target_length=5)
    [4, 0]

    Args:
        queries: Indices of queries of the call, as a slice or integers; ``None`` means all.
        heads: Indices of heads, as a slice or integers; ``None`` means all.

    Raises:
        ValueError: An argument is neither a slice nor a sequence of integers.
    """

    queries: Indices | None = None
    heads: Indices | None = None

    def __post_init__(self) -> None:
        for what in ("queries", "heads"):
            given = getattr(self, what)
            if given is None or isinstance(given, slice):
                continue
            if isinstance(given, str) or not isinstance(given, Sequence) or not _whole(given):
                raise ValueError(
                    f"need_alignment: got {what}={given!r}, expected a slice, a sequence of "
                    "integers or None (all)"
                )
            object.__setattr__(self, what, tuple(given))

    def rows(self, target_length: int) -> list[int] | None:
        """Return the non-negative indices of the requested queries; ``None`` means all.

        Raises:
            ValueError: There is no such query.
        """
        return _resolve("queries", self.queries, target_length)

    def of_heads(self, num_heads: int) -> list[int] | None:
        """Return the non-negative indices of the requested heads; ``None`` means all.

        Raises:
            ValueError: There is no such head.
        """
        return _resolve("heads", self.heads, num_heads)


NeedAlignment = bool | AlignmentOf


def check_need(need_alignment: object) -> None:
    """Refuse a value of ``need_alignment`` of the wrong type.

    >>> check_need([0, 1])
    Traceback (most recent call last):
    ValueError: need_alignment: got [0, 1], expected True, False or an AlignmentOf
    """
    if not isinstance(need_alignment, bool | AlignmentOf):
        raise ValueError(
            f"need_alignment: got {need_alignment!r}, expected True, False or an AlignmentOf"
        )


def _whole(indices: Any) -> TypeGuard[Sequence[int]]:
    return all(isinstance(index, int) and not isinstance(index, bool) for index in indices)


def _resolve(what: str, indices: Indices | None, length: int) -> list[int] | None:
    if indices is None:
        return None
    if isinstance(indices, slice):
        return list(range(length))[indices]
    for index in indices:
        if not -length <= index < length:
            allowed = f"indices from {-length} to {length - 1}" if length else "none"
            raise ValueError(
                f"need_alignment: got {what}={list(indices)}, expected {allowed}: "
                f"there are {length}"
            )
    return [index % length for index in indices]
