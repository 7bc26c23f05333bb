"""Sliding-window scope."""

from jaxtyping import Bool
from torch import Tensor

from kochi.attention.options import check_count
from kochi.attention.positions import Positions
from kochi.attention.scopes.base import Band, Scope, Windows


class SlidingWindow(Scope):
    """Attend to keys near the query: ``-left <= key position - query position <= right``.

    Beltagy, Peters and Cohan 2020 (Longformer), section 3.1, there with equal sides;
    https://arxiv.org/abs/2004.05150. With ``right=0`` it is causal. It is meant for
    self-attention: query and key positions are compared directly.

    >>> import torch
    >>> positions = Positions(query_length=3, key_length=4, device=torch.device("cpu"))
    >>> SlidingWindow(left=0, right=1)(positions).int().tolist()
    [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]

    Args:
        left: Number of keys before the query's own position.
        right: Number of keys after it.

    Raises:
        ValueError: An option is below 0.
    """

    def __init__(self, *, left: int = 10, right: int = 10) -> None:
        super().__init__()
        check_count("left", left, lowest=0)
        check_count("right", right, lowest=0)
        self.left, self.right, self.reach = left, right, (left, right)

    def forward(
        self, positions: Positions
    ) -> Bool[Tensor, "target source"] | Bool[Tensor, "batch target source"]:
        """Compare positions."""
        distances = positions.distances()
        return (distances >= -self.left) & (distances <= self.right)

    def band(self, positions: Positions) -> Band | None:
        """Return the window as a band, for self-attention over a whole sequence."""
        whole = positions.query is None and positions.key is None and positions.start == 0
        if not whole or positions.query_length != positions.key_length:
            return None
        return Band(self.left, self.right)

    def windows(self, positions: Positions) -> Windows | None:
        """Return the windows if the keys are counted from 0."""
        if positions.key is not None:
            return None
        centre = positions.queries().squeeze(-1)
        centre = centre if centre.dim() == 2 else centre.unsqueeze(0)
        return Windows(centre.unsqueeze(1), self.left, self.right)
