"""An encoder and a decoder with a memory between them."""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kochi.decoders.decoder import Decoder
from kochi.decoders.mixture import Mixture
from kochi.memory import Memory


class Seq2Seq(nn.Module):
    """Read with the encoder, write with the decoder.

    Args:
        encoder: Turns a source and its mask into a `Memory`.
        decoder: Writes the target while it looks at the memory.
    """

    def __init__(self, encoder: nn.Module, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def encode(
        self, source: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
    ) -> Memory:
        """Return what may be looked at."""
        return self.encoder(source, mask)

    def forward(
        self,
        source: Int[Tensor, "batch source"],
        mask: Bool[Tensor, "batch source"],
        inputs: Int[Tensor, "batch target"],
    ) -> Float[Tensor, "batch target feature_size"] | Mixture:
        """Return the features of whole targets, for the loss."""
        return self.decoder(self.encode(source, mask), inputs)
