"""The loss of a decoder's output, for plain features or a mixture."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from kochi.decoders.decoder import Decoder
from kochi.decoders.mixture import Mixture
from kochi.training.losses import cross_entropy
from kochi.training.mixture_loss import mixture_cross_entropy


def output_loss(
    decoder: Decoder,
    features: Float[Tensor, "batch target feature_size"] | Mixture,
    targets: Int[Tensor, "batch target"],
    mask: Bool[Tensor, "batch target"],
    label_smoothing: float = 0.0,
) -> tuple[Float[Tensor, ""], Float[Tensor, "batch target"]]:
    """Return the summed label-smoothed cross-entropy and that of each token without it, in nats.

    Args:
        decoder: The decoder, whose output layer is applied to the features.
        features: Features from `Decoder.write`.
        targets: Target tokens.
        mask: True where a token counts.
        label_smoothing: See `kochi.training.losses`.
    """
    rest = decoder.output_weight, decoder.output_bias, targets, mask, label_smoothing
    if isinstance(features, Mixture):
        return mixture_cross_entropy(features, *rest)
    return cross_entropy(features, *rest)
