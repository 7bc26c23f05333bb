"""The output of a decoder for a whole target."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from kochi.attention import AttentionOutput, Draws
from kochi.decoders.mixture import Mixture

Need = bool | Literal["every layer"]
"""Whether to return alignments: of the last layer that attends to the memory, or of all."""


class Samples(NamedTuple):
    """Samples of the attention at each target position, summed over heads and layers.

    Args:
        log_probability: Log-probability of the samples, in nats.
        entropy: Entropy of the distributions they were drawn from, in nats.
    """

    log_probability: Float[Tensor, "batch target"]
    entropy: Float[Tensor, "batch target"]


class DecoderOutput(NamedTuple):
    """Features for the output layer, with their alignments.

    Args:
        features: Features of each target position; a `Mixture` if a source position is summed out.
        layers: The requested alignments: of the last layer that attends to the memory, or of each
            such layer, first to last. Empty for a decoder without attention.
        samples: The samples of the attention; None if nothing is sampled.
    """

    features: Float[Tensor, "batch target feature_size"] | Mixture
    layers: tuple[Float[Tensor, "batch heads target source"], ...] = ()
    samples: Samples | None = None

    @property
    def alignment(self) -> Float[Tensor, "batch target source"] | None:
        """Return the alignment of the last layer, averaged over its heads, if requested."""
        return self.layers[-1].mean(1) if self.layers else None


def concatenate_steps(draws: Iterable[Draws | None]) -> Samples | None:
    """Concatenate the samples of single steps."""
    steps = [_over_heads(one) for one in draws if one is not None]
    return Samples(*(torch.cat(part, 1) for part in zip(*steps, strict=True))) if steps else None


def sum_layers(draws: Iterable[Draws | None]) -> Samples | None:
    """Sum over several layers, which gives the joint log-probability of their samples."""
    layers = [_over_heads(one) for one in draws if one is not None]
    return (
        Samples(*(torch.stack(part).sum(0) for part in zip(*layers, strict=True)))
        if layers
        else None
    )


def _over_heads(draws: Draws) -> Samples:
    return Samples(draws.log_probability.sum(1), draws.entropy.sum(1))


def all_heads(attended: AttentionOutput) -> Float[Tensor, "batch heads target source"] | None:
    """Return the alignment, if requested, with an axis of heads even if there is only one."""
    alignment = attended.alignment
    return alignment.unsqueeze(1) if alignment is not None and alignment.ndim == 3 else alignment


def layers_of(
    alignments: Iterable[Float[Tensor, "batch heads target source"] | None],
) -> tuple[Float[Tensor, "batch heads target source"], ...]:
    """Return the alignments of the layers; empty if they were not requested."""
    return tuple(alignment for alignment in alignments if alignment is not None)
