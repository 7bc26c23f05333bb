"""What every scope is: which positions a query may see, and how much they count."""

import abc
from typing import TYPE_CHECKING, NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kochi.attention.past import Past
from kochi.attention.positions import Positions


class Band(NamedTuple):
    """Query t sees keys ``t - left`` to ``t + right``, both counted from 0.

    Args:
        left: How many places before a query are seen.
        right: How many places after it.
    """

    left: int
    right: int


class Scope(nn.Module, abc.ABC):
    """Say which keys a query may see, from where both stand.

    To write one of your own, subclass, implement ``forward`` and give the object to
    `kochi.attention.build` in place of a name.
    """

    @abc.abstractmethod
    def forward(
        self, positions: Positions
    ) -> Bool[Tensor, "target source"] | Bool[Tensor, "batch target source"] | None:
        """Return what may be seen (True), or ``None`` where every query sees every key."""

    def is_triangle(self, positions: Positions) -> bool:
        """Tell whether the answer is exactly "query t sees keys 0 to t", counted from the start.

        Kernels have a fast path for it. ``forward`` must give the same answer.
        """
        return False

    def band(self, positions: Positions) -> Band | None:
        """Return the band if the answer is exactly that, for equally many queries and keys.

        A kernel has a fast path for it, which never asks ``forward`` for the whole answer;
        ``forward`` must give the same.
        """
        return None

    if TYPE_CHECKING:

        def __call__(self, positions: Positions) -> Tensor | None:
            """Type a call as `forward`."""
            ...


class Window(NamedTuple):
    """What a query that says itself where to look may see.

    Args:
        visible: True where it may attend.
        prior: What the alignment is multiplied by, after the selection; not normalised again.
    """

    visible: Bool[Tensor, "batch heads target source"]
    prior: Float[Tensor, "batch heads target source"]


class PredictedScope(nn.Module, abc.ABC):
    """Let each query say where its window lies.

    ``forward`` gets the queries as they are inside a head, before the score projects them.
    """

    @abc.abstractmethod
    def forward(
        self,
        query: Float[Tensor, "batch heads target query_size"],
        positions: Positions,
        lengths: Int[Tensor, " batch"],
    ) -> Window:
        """Return the windows in memories of the given lengths (without padding)."""

    @property
    def within(self) -> Scope | None:
        """What positions let a query see, beside its window; ``None``: everything."""
        return None

    if TYPE_CHECKING:

        def __call__(self, query: Tensor, positions: Positions, lengths: Tensor) -> Window:
            """Type a call as `forward`."""
            ...


class RecurrentScope(nn.Module, abc.ABC):
    """See everything, more or less willingly by where earlier queries looked.

    Queries are then asked one after the other; see `RecurrentScore`.
    """

    @abc.abstractmethod
    def forward(self, past: Past) -> Float[Tensor, "batch heads target source"]:
        """Return what is added to the scores; not asked at the first step, which adds nothing."""

    @property
    def within(self) -> Scope | None:
        """What positions let a query see; ``None``: everything."""
        return None

    if TYPE_CHECKING:

        def __call__(self, past: Past) -> Tensor:
            """Type a call as `forward`."""
            ...


AnyScope = Scope | PredictedScope | RecurrentScope
