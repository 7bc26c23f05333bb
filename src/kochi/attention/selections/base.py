"""Base classes of selections, which turn scores into an alignment."""

import abc
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kochi.attention.history import Past


class Selection(nn.Module, abc.ABC):
    """Turn scores into an alignment.

    All selections follow the same rule for masked positions: they get exactly 0, a fully masked
    query gets a row of zeros, and no gradient is NaN.

    To write your own, subclass, implement ``forward`` and pass an instance to
    `kochi.attention.build` in place of a name.
    """

    @abc.abstractmethod
    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Float[Tensor, "batch heads target source"]:
        """Select among the visible positions; ``None`` means that all are visible."""

    if TYPE_CHECKING:

        def __call__(self, scores: Tensor, visible: Tensor | None) -> Tensor:
            """Type a call as `forward`."""
            ...


class Walk(NamedTuple):
    """The result of a monotonic walk whose alignment differs from its position.

    Args:
        alignment: The alignment.
        standing: Distribution over the position of the walk, for the next step (`Past.standing`).
    """

    alignment: Float[Tensor, "batch heads target source"]
    standing: Float[Tensor, "batch heads target source"]


class RecurrentSelection(nn.Module, abc.ABC):
    """Turn scores into an alignment that depends on the previous one.

    The rules of `Selection` apply. The queries of one call are at the same step (the beams of a
    sentence), each with its own past.
    """

    @abc.abstractmethod
    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
        past: Past | None,
    ) -> Float[Tensor, "batch heads target source"] | Walk:
        """Select among the visible positions; ``past`` is None at the first step.

        Return a `Walk` if the next step does not continue from the alignment itself.
        """

    if TYPE_CHECKING:

        def __call__(
            self, scores: Tensor, visible: Tensor | None, past: Past | None
        ) -> Tensor | Walk:
            """Type a call as `forward`."""
            ...


class Choice(NamedTuple):
    """The sample of a sampled selection, for a loss that weights its log-probability.

    Args:
        alignment: 1 at the sampled position, constant for autograd; or the expected alignment,
            with a gradient, where nothing was sampled.
        log_probability: Log-probability of the sample, in nats, with a gradient; 0 where everything
            is masked or nothing was sampled.
        entropy: Entropy of the sampled distribution, in nats, with a gradient.
    """

    alignment: Float[Tensor, "batch heads target source"]
    log_probability: Float[Tensor, "batch heads target"]
    entropy: Float[Tensor, "batch heads target"]


class SampledSelection(nn.Module, abc.ABC):
    """Attend to one position: sampled in training, the most probable one otherwise."""

    def settle(
        self, expected: Bool[Tensor, " batch"] | None, batch: int, device: torch.device
    ) -> tuple["SampledSelection", Bool[Tensor, " batch"] | None]:
        """Make the decisions that hold for whole sentences.

        Args:
            expected: The decisions of earlier calls with these sentences; ``None`` at the first.
            batch: Number of sentences.
            device: Device of the tensors.

        Returns:
            The selection for this call, and the decisions to pass to the next call with these
            sentences. By default, the selection itself and ``None``.
        """
        return self, None

    @abc.abstractmethod
    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Choice:
        """Choose among the visible positions; ``None`` means that all are visible."""

    if TYPE_CHECKING:

        def __call__(self, scores: Tensor, visible: Tensor | None) -> Choice:
            """Type a call as `forward`."""
            ...


AnySelection = Selection | RecurrentSelection | SampledSelection
