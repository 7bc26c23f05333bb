"""What every scope is: which positions a query may see, and how much they count."""

import abc
from typing import TYPE_CHECKING, NamedTuple

from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

from kochi.attention.history import Past
from kochi.attention.positions import Positions


class Band(NamedTuple):
    """Query t sees keys ``t - left`` to ``t + right``, both counted from 0.

    Args:
        left: How many places before a query are seen.
        right: How many places after it.
    """

    left: int
    right: int


class Windows(NamedTuple):
    """A query sees the keys ``s``, counted from 0, with ``-left <= s - centre <= right``.

    What is as large as target times source is made only for kernels that ask for it.

    Args:
        centre: Where each query looks; it need not be a whole number.
        left: How far its window reaches to the left, in places.
        right: How far to the right.
        sigma: Width of the Gaussian around the centre that the alignment is multiplied by after the
            selection, in places; ``None``: it is not.

    >>> import torch
    >>> windows = Windows(torch.tensor([[[1.5]]]), left=1, right=1, sigma=0.5)
    >>> windows.mask(torch.arange(4)).int().tolist()
    [[[[0, 1, 1, 0]]]]
    >>> windows.prior(torch.tensor([1, 2, 3])).log().tolist()
    [[[[-0.5, -0.5, -4.5]]]]
    """

    centre: Num[Tensor, "#batch #heads target"]
    left: int
    right: int
    sigma: float | None = None

    @property
    def width(self) -> int:
        """How many places a window has at most."""
        return self.left + self.right + 1

    def mask(self, places: Int[Tensor, "*#batch source"]) -> Bool[Tensor, "..."]:
        """Return which of the places each query may see."""
        distance = self._distance(places).detach()
        return (distance >= -self.left) & (distance <= self.right)

    def prior(self, places: Int[Tensor, "*#batch source"]) -> Float[Tensor, "..."]:
        """Return ``exp(-(s - centre)^2 / (2 sigma^2))`` for places ``s``.

        Raises:
            ValueError: There is no Gaussian.
        """
        if self.sigma is None:
            raise ValueError("prior: these windows have no sigma")
        return (self._distance(places) / self.sigma).square().mul(-0.5).exp()

    def _distance(self, places: Tensor) -> Tensor:
        return places.unsqueeze(-2) - self.centre.unsqueeze(-1)


class Scope(nn.Module, abc.ABC):
    """Say which keys a query may see, from where both stand.

    To write one of your own, subclass, implement ``forward`` and give the object to
    `kochi.attention.build` in place of a name.

    Attributes:
        reach: How far its windows reach to the left and to the right, in places; ``None``: it does
            not give any, see `windows`.
    """

    reach: tuple[int, int] | None = None

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

    def windows(self, positions: Positions) -> Windows | None:
        """Return the windows if the answer is exactly those, for keys at ``0, 1, ...``.

        As for `band`, a kernel has a fast path for them. A scope that gives them says in ``reach``
        how far.
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

    Attributes:
        reach: As in `Scope`.
    """

    reach: tuple[int, int] | None = None

    @abc.abstractmethod
    def forward(
        self,
        query: Float[Tensor, "batch heads target query_size"],
        positions: Positions,
        lengths: Int[Tensor, " batch"],
    ) -> Window:
        """Return the windows in memories of the given lengths (without padding)."""

    def windows(
        self,
        query: Float[Tensor, "batch heads target query_size"],
        positions: Positions,
        lengths: Int[Tensor, " batch"],
    ) -> Windows | None:
        """Return the same as ``forward``, if that is windows, for keys at ``0, 1, ...``.

        Kernels have a fast path for them.
        """
        return None

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
