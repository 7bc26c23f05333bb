"""What every selection is: scores become an alignment."""

import abc
from typing import TYPE_CHECKING

from jaxtyping import Bool, Float
from torch import Tensor, nn


class Selection(nn.Module, abc.ABC):
    """Turn scores into an alignment.

    The empty-row rule holds for all: a place that may not be seen gets exactly 0, a query that may
    see nothing gets a row of zeros, and no gradient is NaN.

    To write one of your own, subclass, implement ``forward`` and give the object to
    `kochi.attention.build` in place of a name.
    """

    @abc.abstractmethod
    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """Select among the visible places (``None``: all are)."""

    if TYPE_CHECKING:

        def __call__(self, scores: Tensor, visible: Tensor | None) -> Tensor:
            """Type a call as `forward`."""
            ...
