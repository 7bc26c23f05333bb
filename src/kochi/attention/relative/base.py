"""What every relative term is: a part of the score that comes from where query and key stand."""

import abc
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor, nn

from kochi.attention.positions import Positions


class Relative(nn.Module, abc.ABC):
    """A term that is added to the score and depends on where query and key stand.

    To write one of your own, subclass, implement ``forward`` and give the object to
    `kochi.attention.build` in place of a name.

    Attributes:
        needs_dot_product: Whether it is a part of the product of query and key. A number for each
            distance is not: such a class says ``False``, and any score takes it.
    """

    needs_dot_product = True

    @abc.abstractmethod
    def forward(
        self,
        query: Float[Tensor, "batch heads target projected_size"],
        positions: Positions,
    ) -> Float[Tensor, "#batch heads target source"]:
        """Return the term for every query and key."""

    if TYPE_CHECKING:

        def __call__(self, query: Tensor, positions: Positions) -> Tensor:
            """Type a call as `forward`."""
            ...
