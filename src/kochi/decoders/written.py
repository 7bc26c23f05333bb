"""What a decoder leaves when it has read a whole target."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from kochi.attention import Draws, Readout
from kochi.decoders.mixture import Mixture


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
        alignment: Where each position looked (the mean over heads), if it was asked for; None for
            a decoder that cannot look.
        looks: What was drawn; None where nothing is left to chance.
    """

    features: Float[Tensor, "batch target feature_size"] | Mixture
    alignment: Float[Tensor, "batch target source"] | None = None
    looks: Looks | None = None


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


def mean_heads(readout: Readout) -> Float[Tensor, "batch target source"] | None:
    """Return the alignment, if it was asked for; of several heads the mean."""
    alignment = readout.alignment
    return alignment.mean(1) if alignment is not None and alignment.ndim == 4 else alignment
