"""Sliding-window scope."""

from jaxtyping import Bool
from torch import Tensor

from kochi.attention.positions import Positions
from kochi.attention.scopes.base import Band, Scope


class SlidingWindow(Scope):
    """Let a query see the keys around it: ``-left <= key position - query position <= right``.

    Beltagy, Peters and Cohan 2020, section 3.1, "sliding window", where both sides are equal;
    https://arxiv.org/abs/2004.05150

    >>> import torch
    >>> scope = SlidingWindow(left=1, right=0)
    >>> scope(Positions(query_length=3, key_length=3, device=torch.device("cpu"))).int().tolist()
    [[1, 0, 0], [1, 1, 0], [0, 1, 1]]

    Args:
        left: How many places before it a query sees.
        right: How many places after it; 0 for a target that is being written.

    Raises:
        ValueError: A side is below 0.
    """

    def __init__(self, left: int, right: int) -> None:
        super().__init__()
        for side, places in (("left", left), ("right", right)):
            if places < 0:
                raise ValueError(f"{side}: got {places}, expected 0 or more")
        self.left, self.right = left, right

    def forward(
        self, positions: Positions
    ) -> Bool[Tensor, "target source"] | Bool[Tensor, "batch target source"] | None:
        """Compare positions."""
        distance = positions.keys() - positions.queries()
        return (distance >= -self.left) & (distance <= self.right)

    def band(self, positions: Positions) -> Band | None:
        """Return the window for a whole sequence that attends to itself."""
        whole = positions.query is None and positions.key is None and positions.start == 0
        if not whole or positions.query_length != positions.key_length:
            return None
        return Band(self.left, self.right)
