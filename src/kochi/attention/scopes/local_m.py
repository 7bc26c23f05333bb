"""Local-m scope: a window that moves along with the target (m as in monotonic)."""

from jaxtyping import Bool, Int
from torch import Tensor

from kochi.attention.options import check_count, check_positive
from kochi.attention.positions import Positions
from kochi.attention.scopes.base import Scope, Windows


class LocalM(Scope):
    """Attend to the keys from ``p - D`` to ``p + D``, where ``p = round(ratio t)`` for query t.

    Luong, Pham and Manning 2015, section 3.2, "monotonic alignment (local-m)"; the paper assumes
    source and target of about the same length, p = t. The ratio is our addition for other data;
    https://arxiv.org/abs/1508.04025

    >>> import torch
    >>> positions = Positions(query_length=2, key_length=5, device=torch.device("cpu"))
    >>> LocalM(width=1, ratio=3.0)(positions).int().tolist()
    [[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]]

    Args:
        width: Extent of the window to each side (D); 10 as in the paper.
        ratio: Number of source positions per target position. Centres are rounded half up.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(self, *, width: int = 10, ratio: float = 1.0) -> None:
        super().__init__()
        check_count("width", width, lowest=0)
        check_positive("ratio", ratio)
        self.width, self.ratio, self.reach = width, ratio, (width, width)

    def forward(
        self, positions: Positions
    ) -> Bool[Tensor, "target source"] | Bool[Tensor, "batch target source"]:
        """Compare the key positions with the centres."""
        return (positions.keys() - self._centre(positions)).abs() <= self.width

    def windows(self, positions: Positions) -> Windows | None:
        """Return the windows if the keys are counted from 0."""
        if positions.key is not None:
            return None
        centre = self._centre(positions).squeeze(-1)
        centre = centre if centre.dim() == 2 else centre.unsqueeze(0)
        return Windows(centre.unsqueeze(1), self.width, self.width)

    def _centre(self, positions: Positions) -> Int[Tensor, "... target 1"]:
        return (positions.queries() * self.ratio + 0.5).floor().long()
