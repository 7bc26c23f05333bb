"""Build the encoder of pictures that a run file's encoder table describes."""

from torch import nn

from kochi import config
from kochi.encoders.cnn import CnnEncoder
from kochi.encoders.cnn_rows import CnnRowsEncoder
from kochi.encoders.picture import PictureEncoder
from kochi.encoders.residual import ResidualNetwork
from kochi.encoders.transformer import TransformerEncoderLayer
from kochi.encoders.vit import VitEncoder
from kochi.layers.feedforward import FeedForward
from kochi.layers.grid_positions import GridPositions
from kochi.models.frame_encoders import attention_to_itself
from kochi.models.inputs import PictureInput


def build_picture_encoder(model: config.Model, source: PictureInput) -> PictureEncoder:
    """Build an untrained encoder.

    Args:
        model: The model table of a run file, with or without an encoder table.
        source: The pictures.

    Raises:
        ValueError: Options that do not fit together, or that only something else can obey.
    """
    match model.encoder or default_encoder(model):
        case config.CnnEncoder() as table:
            size = table.channels[-1]
            return CnnEncoder(_network(table, source), size, _positions(table, size), table.dropout)
        case config.CnnRowsEncoder() as table:
            return CnnRowsEncoder(
                _network(table, source),
                table.channels[-1],
                _positions(table, 2 * table.hidden_size),
                cell=table.cell,
                hidden_size=table.hidden_size,
                num_layers=table.layers,
                max_rows=table.max_rows,
                dropout=table.dropout,
            )
        case config.VitEncoder() as table:
            return _vit(table, source)
        case other:
            raise ValueError(
                f"encoder: {other.kind!r} reads frames, and the source is pictures: take 'cnn', "
                "'cnn_rows' or 'vit'"
            )


def default_encoder(model: config.Model) -> config.Encoder:
    """Return the encoder table that stands for none, with what it shares with the model table.

    A residual network for a recurrent model, patches and a Transformer for a Transformer.

    Raises:
        ValueError: ``reverse_source``, which is for tokens.
    """
    if isinstance(model, config.TransformerModel):
        return config.VitEncoder(
            kind="vit",
            size=model.size,
            feedforward_size=model.feedforward_size,
            layers=model.encoder_layers,
            norm=model.norm,
            activation=model.activation,
            dropout=model.dropout,
            attention_dropout=model.attention_dropout,
            self_attention=model.self_attention,
        )
    if model.reverse_source:
        raise ValueError("reverse_source is for tokens, and the source is pictures: remove the key")
    return config.CnnEncoder(kind="cnn", dropout=model.dropout)


def _network(table: config.ConvolutionLayers, source: PictureInput) -> ResidualNetwork:
    return ResidualNetwork(source.channels, table.channels, table.blocks, table.patch)


def _positions(table: config.GridEncoder, size: int) -> nn.Module:
    return GridPositions(size) if table.positions == "sinusoidal" else nn.Identity()


def _vit(table: config.VitEncoder, source: PictureInput) -> VitEncoder:
    layers = [
        TransformerEncoderLayer(
            attention_to_itself(table),
            FeedForward(table.size, table.feedforward_size, table.activation, table.dropout),
            norm=table.norm,
            dropout=table.dropout,
        )
        for _ in range(table.layers)
    ]
    norm = nn.LayerNorm(table.size) if table.norm == "pre" else nn.Identity()
    positions = _positions(table, table.size)
    return VitEncoder(
        source.channels, table.patch, table.size, positions, layers, norm, table.dropout
    )
