"""Positions of queries and keys."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True)
class Positions:
    """Positions of queries and keys.

    Args:
        query_length: Number of queries.
        key_length: Number of keys.
        device: Device of the tensors.
        start: Position of the first query when ``query`` is not given.
        query: Positions of the queries, or one position for all of them; by default
            ``start, start + 1, ...``.
        key: Positions of the keys, or one position for all of them; by default ``0, 1, ...``.
    """

    query_length: int
    key_length: int
    device: torch.device
    start: int = 0
    query: int | Int[Tensor, " target"] | Int[Tensor, "batch target"] | None = None
    key: int | Int[Tensor, " source"] | Int[Tensor, "batch source"] | None = None

    def last_key(self) -> int | None:
        """Return the largest key position if it is known without reading a tensor."""
        if self.key is None:
            return self.key_length - 1
        return self.key if isinstance(self.key, int) else None

    def first_query(self) -> int | None:
        """Return the smallest query position if it is known without reading a tensor."""
        if self.query is None:
            return self.start
        return self.query if isinstance(self.query, int) else None

    def queries(self) -> Int[Tensor, "... target 1"]:
        """Return the positions of the queries as a column."""
        here = stand(self.query, self.query_length, self.device, self.start, "query_positions")
        return here.unsqueeze(-1)

    def keys(self) -> Int[Tensor, "... 1 source"]:
        """Return the positions of the keys as a row."""
        return stand(self.key, self.key_length, self.device, what="key_positions").unsqueeze(-2)

    def distances(self) -> Int[Tensor, "... target source"]:
        """Return key position minus query position, for every pair.

        >>> Positions(query_length=1, key_length=3, device=torch.device("cpu"), start=1).distances()
        tensor([[-1,  0,  1]])
        """
        return self.keys() - self.queries()


def stand(
    positions: int | Int[Tensor, " length"] | Int[Tensor, "batch length"] | None,
    length: int,
    device: torch.device,
    start: int = 0,
    what: str = "positions",
) -> Int[Tensor, " length"] | Int[Tensor, "batch length"]:
    """Return positions as a tensor; a number is repeated, ``None`` counts up from ``start``.

    Raises:
        ValueError: A tensor is not integral, or does not hold one position per vector.

    >>> stand(None, 3, torch.device("cpu"), start=4).tolist()
    [4, 5, 6]
    """
    if positions is None:
        return torch.arange(start, start + length, device=device)
    if isinstance(positions, int):
        return torch.full((length,), positions, device=device)
    whole = not (positions.dtype.is_floating_point or positions.dtype == torch.bool)
    if not whole or positions.dim() not in (1, 2) or positions.shape[-1] != length:
        raise ValueError(
            f"{what}: got {positions.dtype} of shape {list(positions.shape)}, expected "
            f"integers, one for each of {length} positions: [{length}] or [batch, {length}]"
        )
    return positions
