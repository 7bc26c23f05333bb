"""The loss of what a decoder wrote, whatever it left for the output layer."""

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
        decoder: Whose output layer reads the features.
        features: From `Decoder.write`.
        targets: Right tokens.
        mask: True where a token counts.
        label_smoothing: See `kochi.training.losses`.
    """
    rest = decoder.output_weight, decoder.output_bias, targets, mask, label_smoothing
    if isinstance(features, Mixture):
        return mixture_cross_entropy(features, *rest)
    return cross_entropy(features, *rest)
