"""Base classes of scopes: which positions a query may attend to, and with what prior weight."""

import abc
from typing import TYPE_CHECKING, NamedTuple

from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

from kochi.attention.history import Past
from kochi.attention.positions import Positions


class Band(NamedTuple):
    """A band: query t may attend to keys ``t - left`` to ``t + right``, both counted from 0.

    Args:
        left: Number of positions before the query.
        right: Number of positions after it.
    """

    left: int
    right: int


class Windows(NamedTuple):
    """Windows: a query may attend to keys ``s`` with ``-left <= s - centre <= right``.

    Tensors of size target times source are only built for kernels that need them.

    Args:
        centre: Centre of each query's window, counted from 0; need not be an integer.
        left: Extent of the window to the left, in positions.
        right: Extent of the window to the right.
        sigma: Standard deviation, in positions, of the Gaussian around the centre that the
            alignment is multiplied by after the selection; ``None`` for no Gaussian.

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
        """Maximum number of positions in a window."""
        return self.left + self.right + 1

    def mask(self, key_positions: Int[Tensor, "*#batch source"]) -> Bool[Tensor, "..."]:
        """Return which of the positions each query may attend to."""
        distance = self._distance(key_positions).detach()
        return (distance >= -self.left) & (distance <= self.right)

    def prior(self, key_positions: Int[Tensor, "*#batch source"]) -> Float[Tensor, "..."]:
        """Return ``exp(-(s - centre)^2 / (2 sigma^2))`` for positions ``s``.

        Raises:
            ValueError: There is no Gaussian.
        """
        if self.sigma is None:
            raise ValueError("prior: these windows have no Gaussian (sigma is None)")
        return (self._distance(key_positions) / self.sigma).square().mul(-0.5).exp()

    def _distance(self, key_positions: Tensor) -> Tensor:
        return key_positions.unsqueeze(-2) - self.centre.unsqueeze(-1)


class Scope(nn.Module, abc.ABC):
    """Determine from positions alone which keys a query may attend to.

    To write your own, subclass, implement ``forward`` and pass an instance to
    `kochi.attention.build` in place of a name.

    Attributes:
        reach: Extent of the windows to the left and to the right, in positions; ``None`` if
            `windows` returns none.
    """

    reach: tuple[int, int] | None = None

    @abc.abstractmethod
    def forward(
        self, positions: Positions
    ) -> Bool[Tensor, "target source"] | Bool[Tensor, "batch target source"] | None:
        """Return the mask, True = may attend; ``None`` if every query may attend to all keys."""

    def is_triangle(self, positions: Positions) -> bool:
        """Return whether the mask is exactly the causal triangle: query t attends to keys 0 to t.

        Kernels have a fast path for it. ``forward`` must return the same mask.
        """
        return False

    def band(self, positions: Positions) -> Band | None:
        """Return the band if the mask is exactly a band, for the same number of queries and keys.

        A kernel has a fast path for it that never calls ``forward``; ``forward`` must return the
        same mask.
        """
        return None

    def windows(self, positions: Positions) -> Windows | None:
        """Return the windows if the mask is exactly windows, for keys at ``0, 1, ...``.

        As for `band`, a kernel has a fast path for them. A scope that returns windows must set
        ``reach``.
        """
        return None

    if TYPE_CHECKING:

        def __call__(self, positions: Positions) -> Tensor | None:
            """Type a call as `forward`."""
            ...


class Window(NamedTuple):
    """The predicted window of each query.

    Args:
        visible: True where the query may attend.
        prior: Factor of the alignment, applied after the selection without renormalising.
    """

    visible: Bool[Tensor, "batch heads target source"]
    prior: Float[Tensor, "batch heads target source"]


class PredictedScope(nn.Module, abc.ABC):
    """Let each query predict the position of its window.

    ``forward`` receives the queries inside a head, before the score projects them.

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
        """Predict the windows in memories of the given lengths (without padding)."""

    def windows(
        self,
        query: Float[Tensor, "batch heads target query_size"],
        positions: Positions,
        lengths: Int[Tensor, " batch"],
    ) -> Windows | None:
        """Return the same as ``forward`` as windows, if possible, for keys at ``0, 1, ...``.

        Kernels have a fast path for them.
        """
        return None

    @property
    def within(self) -> Scope | None:
        """A further scope that also limits the window; ``None`` for no limit."""
        return None

    if TYPE_CHECKING:

        def __call__(self, query: Tensor, positions: Positions, lengths: Tensor) -> Window:
            """Type a call as `forward`."""
            ...


class RecurrentScope(nn.Module, abc.ABC):
    """Add a bias to the scores that depends on the alignments of earlier queries.

    Queries are then processed one after the other; see `RecurrentScore`.
    """

    @abc.abstractmethod
    def forward(self, past: Past) -> Float[Tensor, "batch heads target source"]:
        """Return the bias of the scores; not called at the first step, which has none."""

    @property
    def within(self) -> Scope | None:
        """A scope that limits the positions; ``None`` for no limit."""
        return None

    if TYPE_CHECKING:

        def __call__(self, past: Past) -> Tensor:
            """Type a call as `forward`."""
            ...


AnyScope = Scope | PredictedScope | RecurrentScope
