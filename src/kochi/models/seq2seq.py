"""An encoder and a decoder with a memory between them."""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kochi.components import ComponentError
from kochi.decoders.decoder import Decoder
from kochi.decoders.mixture import Mixture
from kochi.memory import Memory

Source = (
    Int[Tensor, "batch source"]
    | Float[Tensor, "batch source size"]
    | Float[Tensor, "batch channels height width"]
)
Mask = Bool[Tensor, "batch source"] | Bool[Tensor, "batch height width"]


class Seq2Seq(nn.Module):
    """An encoder-decoder model.

    Args:
        encoder: Turns a source and its mask into a `Memory`.
        decoder: Generates the target while attending to the memory.

    Attributes:
        ctc: Output layer that predicts a token for each position of the memory, with padding as
            CTC's blank. None for a model without CTC.
    """

    ctc: nn.Linear | None

    def __init__(self, encoder: nn.Module, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.ctc = None

    def add_ctc(self, vocabulary: int) -> None:
        """Add an untrained layer for CTC (Graves et al. 2006)."""
        size = self.encoder.memory_size
        assert isinstance(size, int)
        self.ctc = nn.Linear(size, vocabulary)
        nn.init.xavier_uniform_(self.ctc.weight)
        nn.init.zeros_(self.ctc.bias)

    def encode(self, source: Source, mask: Mask) -> Memory:
        """Return the memory of a source of tokens, frames or pixels.

        Raises:
            ComponentError: The encoder returns a memory whose shapes do not match.
        """
        memory = self.encoder(source, mask)
        size = getattr(self.encoder, "memory_size", memory.values.shape[-1])
        expected = (*memory.mask.shape, size)
        if memory.mask.shape[0] != len(source) or memory.values.shape != expected:
            raise ComponentError(
                f"encoder {type(self.encoder).__name__}: returned values of shape "
                f"{list(memory.values.shape)} with a mask of shape {list(memory.mask.shape)} for "
                f"{len(source)} sources; expected [batch, positions, memory_size] with "
                f"memory_size = {size}, and [batch, positions]"
            )
        return memory

    def forward(
        self,
        source: Source,
        mask: Mask,
        inputs: Int[Tensor, "batch target"],
    ) -> Float[Tensor, "batch target feature_size"] | Mixture:
        """Return the features of whole targets, for the loss."""
        return self.decoder(self.encode(source, mask), inputs)
