"""Causal scope."""

from jaxtyping import Bool
from torch import Tensor

from kochi.attention.positions import Positions
from kochi.attention.scopes.base import Scope


class Causal(Scope):
    """Attend only to keys that are not after the query: ``key position <= query position``.

    Vaswani et al. 2017, section 3.2.3, third item; https://arxiv.org/abs/1706.03762

    >>> import torch
    >>> Causal()(Positions(query_length=2, key_length=3, device=torch.device("cpu"))).int().tolist()
    [[1, 0, 0], [1, 1, 0]]
    """

    def forward(
        self, positions: Positions
    ) -> Bool[Tensor, "target source"] | Bool[Tensor, "batch target source"] | None:
        """Compare positions; return ``None`` if even the first query may attend to every key."""
        first, last = positions.first_query(), positions.last_key()
        if first is not None and last is not None and first >= last:
            return None
        return positions.keys() <= positions.queries()

    def is_triangle(self, positions: Positions) -> bool:
        """Return whether queries and keys are both counted from 0, as in a whole target."""
        return positions.query is None and positions.key is None and positions.start == 0
