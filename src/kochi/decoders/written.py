"""What a decoder leaves when it has read a whole target."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from kochi.attention import Draws, Readout
from kochi.decoders.mixture import Mixture

Need = bool | Literal["every layer"]
"""Whether alignments are wanted: those of the last layer that looks at the memory, or of all."""


class Looks(NamedTuple):
    """What was drawn at each target position, all heads and layers together.

    Args:
        log_probability: Of what was drawn, in nats.
        entropy: Of what it was drawn from, in nats.
    """

    log_probability: Float[Tensor, "batch target"]
    entropy: Float[Tensor, "batch target"]


class Written(NamedTuple):
    """Features for the output layer, and how they came about.

    Args:
        features: For each target position; a `Mixture` where they depend on a choice of place that
            is summed out.
        layers: Where each position looked, if it was asked for: a tensor for the last layer that
            looks at the memory, or for each, first to last; empty for a decoder that cannot look.
        looks: What was drawn; None where nothing is left to chance.
    """

    features: Float[Tensor, "batch target feature_size"] | Mixture
    layers: tuple[Float[Tensor, "batch heads target source"], ...] = ()
    looks: Looks | None = None

    @property
    def alignment(self) -> Float[Tensor, "batch target source"] | None:
        """Return where the last layer looked (the mean over its heads), if it was asked for."""
        return self.layers[-1].mean(1) if self.layers else None


def one_after_the_other(draws: Iterable[Draws | None]) -> Looks | None:
    """Join the draws of single steps."""
    steps = [_over_heads(one) for one in draws if one is not None]
    return Looks(*(torch.cat(part, 1) for part in zip(*steps, strict=True))) if steps else None


def on_top_of_each_other(draws: Iterable[Draws | None]) -> Looks | None:
    """Add the draws of several layers: the log-probability of all of them together."""
    layers = [_over_heads(one) for one in draws if one is not None]
    return (
        Looks(*(torch.stack(part).sum(0) for part in zip(*layers, strict=True))) if layers else None
    )


def _over_heads(draws: Draws) -> Looks:
    return Looks(draws.log_probability.sum(1), draws.entropy.sum(1))


def every_head(readout: Readout) -> Float[Tensor, "batch heads target source"] | None:
    """Return the alignment, if it was asked for, with an axis of heads also where there is one."""
    alignment = readout.alignment
    return alignment.unsqueeze(1) if alignment is not None and alignment.ndim == 3 else alignment


def layers_of(
    alignments: Iterable[Float[Tensor, "batch heads target source"] | None],
) -> tuple[Float[Tensor, "batch heads target source"], ...]:
    """Return the alignments of layers; nothing where they were not asked for."""
    return tuple(alignment for alignment in alignments if alignment is not None)
