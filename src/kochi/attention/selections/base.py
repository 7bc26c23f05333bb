"""What every selection is: scores become an alignment."""

import abc
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kochi.attention.history import Past


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


class Walk(NamedTuple):
    """Where a walk looks and where it stands.

    Args:
        alignment: Where it looks.
        standing: Where it stands, for the next step: `Past.standing`.
    """

    alignment: Float[Tensor, "batch heads target source"]
    standing: Float[Tensor, "batch heads target source"]


class RecurrentSelection(nn.Module, abc.ABC):
    """Turn scores into an alignment that goes on from the one before.

    The rules of `Selection` hold. The queries of one call stand at the same step (the beams of a
    sentence), each with a past of its own.
    """

    @abc.abstractmethod
    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
        past: Past | None,
    ) -> Float[Tensor, "batch heads target source"] | Walk:
        """Select among the visible places; ``past`` is None at the first step.

        A selection that goes on from elsewhere than where it looked returns a `Walk`.
        """

    if TYPE_CHECKING:

        def __call__(
            self, scores: Tensor, visible: Tensor | None, past: Past | None
        ) -> Tensor | Walk:
            """Type a call as `forward`."""
            ...


class Choice(NamedTuple):
    """What a sampled selection chose, for a loss that weighs its gradient.

    Args:
        alignment: 1 at the chosen place, constant for autograd; or what was looked at instead of a
            choice, with a gradient.
        log_probability: Of the choice, in nats, with a gradient; 0 where nothing may be seen and
            where nothing was chosen.
        entropy: Of the distribution it was drawn from, in nats, with a gradient.
    """

    alignment: Float[Tensor, "batch heads target source"]
    log_probability: Float[Tensor, "batch heads target"]
    entropy: Float[Tensor, "batch heads target"]


class SampledSelection(nn.Module, abc.ABC):
    """Look at one place, drawn at random in training; the likeliest one otherwise."""

    def settle(
        self, expected: Bool[Tensor, " batch"] | None, batch: int, device: torch.device
    ) -> tuple["SampledSelection", Bool[Tensor, " batch"] | None]:
        """Decide what holds for whole sentences; return the selection for this call.

        Args:
            expected: What was decided when the sentences were asked before; ``None``: nothing.
            batch: Number of sentences.
            device: Where the tensors live.

        Returns:
            The selection for this call, and what to give to the next call with these sentences. By
            default the selection itself and ``None``.
        """
        return self, None

    @abc.abstractmethod
    def forward(
        self,
        scores: Float[Tensor, "batch heads target source"],
        visible: Bool[Tensor, "#batch #heads #target #source"] | None,
    ) -> Choice:
        """Choose among the visible places (``None``: all are)."""

    if TYPE_CHECKING:

        def __call__(self, scores: Tensor, visible: Tensor | None) -> Choice:
            """Type a call as `forward`."""
            ...


AnySelection = Selection | RecurrentSelection | SampledSelection
