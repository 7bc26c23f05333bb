"""Base class of relative terms, the part of a score that depends on positions."""

import abc
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor, nn

from kochi.attention.positions import Positions


class Relative(nn.Module, abc.ABC):
    """A term that is added to the score and depends on the positions of query and key.

    To write your own, subclass, implement ``forward`` and pass an instance to
    `kochi.attention.build` in place of a name.

    Attributes:
        needs_dot_product: Whether the term is part of the dot product of query and key. Set it to
            ``False`` for a term that any score can use, such as a number for each distance.
    """

    needs_dot_product = True

    @abc.abstractmethod
    def forward(
        self,
        query: Float[Tensor, "batch heads target projected_size"],
        positions: Positions,
    ) -> Float[Tensor, "#batch heads target source"]:
        """Compute the term for every query and key."""

    if TYPE_CHECKING:

        def __call__(self, query: Tensor, positions: Positions) -> Tensor:
            """Type a call as `forward`."""
            ...
