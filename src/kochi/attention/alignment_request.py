"""Which part of an alignment is wanted."""

from collections.abc import Sequence
from dataclasses import dataclass

Indices = slice | Sequence[int]


@dataclass(frozen=True)
class AlignmentOf:
    """Ask for the alignment of some queries and heads: ``need_alignment=AlignmentOf(queries=[0])``.

    The alignment that comes back has only these rows and heads, in this order. Kernels that make
    one pass more for an alignment make it for these alone, so that three rows of 10,000 are cheap.
    Indices count as in a Python list: -1 is the last.

    >>> AlignmentOf(queries=[-1, 0], heads=slice(2)).rows(target_length=5)
    [4, 0]

    Args:
        queries: Of this call, a slice or whole numbers; ``None``: all.
        heads: A slice or whole numbers; ``None``: all.

    Raises:
        ValueError: Something else than a slice or whole numbers is given.
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
                    f"need_alignment: got {what}={given!r}, expected a slice, a sequence of whole "
                    "numbers or None (all)"
                )
            object.__setattr__(self, what, tuple(given))

    def rows(self, target_length: int) -> list[int] | None:
        """Return the wanted queries, counted from 0; ``None``: all.

        Raises:
            ValueError: There is no such query.
        """
        return _resolve("queries", self.queries, target_length)

    def of_heads(self, num_heads: int) -> list[int] | None:
        """Return the wanted heads, counted from 0; ``None``: all.

        Raises:
            ValueError: There is no such head.
        """
        return _resolve("heads", self.heads, num_heads)


NeedAlignment = bool | AlignmentOf


def check_need(need_alignment: object) -> None:
    """Refuse what does not say whether an alignment is wanted.

    >>> check_need([0, 1])
    Traceback (most recent call last):
    ValueError: need_alignment: got [0, 1], expected True, False or an AlignmentOf
    """
    if not isinstance(need_alignment, bool | AlignmentOf):
        raise ValueError(
            f"need_alignment: got {need_alignment!r}, expected True, False or an AlignmentOf"
        )


def _whole(indices: Sequence[object]) -> bool:
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
