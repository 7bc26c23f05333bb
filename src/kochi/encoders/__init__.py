"""Encoders, which turn a source into a memory. One file per encoder."""

from kochi.components import Slot
from kochi.encoders.cnn import CnnEncoder
from kochi.encoders.cnn_rows import CnnRowsEncoder
from kochi.encoders.conformer import ConformerEncoder
from kochi.encoders.conv_recurrent import ConvRecurrentEncoder
from kochi.encoders.conv_transformer import ConvTransformerEncoder
from kochi.encoders.encoder import Encoder, FrameEncoder
from kochi.encoders.picture import PictureEncoder
from kochi.encoders.pyramid import PyramidEncoder
from kochi.encoders.recurrent import RecurrentEncoder
from kochi.encoders.transformer import TransformerEncoder
from kochi.encoders.vit import VitEncoder

ENCODERS = Slot(
    "encoder",
    Encoder,
    {
        "recurrent": RecurrentEncoder,
        "transformer": TransformerEncoder,
        "pyramid": PyramidEncoder,
        "conv_rnn": ConvRecurrentEncoder,
        "conv_transformer": ConvTransformerEncoder,
        "conformer": ConformerEncoder,
        "cnn": CnnEncoder,
        "cnn_rows": CnnRowsEncoder,
        "vit": VitEncoder,
    },
    supplies=("source", "embedding"),
)

__all__ = ["ENCODERS", "Encoder", "FrameEncoder", "PictureEncoder"]
