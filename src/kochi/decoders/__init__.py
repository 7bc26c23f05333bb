"""Decoders, which generate a target while attending to a memory. One file per decoder."""

from kochi.components import Slot
from kochi.decoders.bahdanau import BahdanauDecoder
from kochi.decoders.decoder import Decoder
from kochi.decoders.luong import LuongDecoder
from kochi.decoders.xu import XuDecoder

# The recurrent ones, named by their papers' order of attending and stepping.
DECODERS = Slot(
    "decoder",
    Decoder,
    {"bahdanau": BahdanauDecoder, "xu": XuDecoder, "luong": LuongDecoder},
    supplies=(
        "embedding",
        "attention",
        "summary_size",
        "cell",
        "hidden_size",
        "num_layers",
        "dropout",
        "tie_embeddings",
    ),
)

__all__ = ["DECODERS", "Decoder"]
