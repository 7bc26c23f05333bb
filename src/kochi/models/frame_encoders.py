"""Build the encoder of frames that a run file's encoder table describes."""

from torch import nn

from kochi import attention, config
from kochi.attention.selections import Marginal
from kochi.encoders.conformer import ConformerLayer, Convolution
from kochi.encoders.conv_recurrent import ConvRecurrentEncoder
from kochi.encoders.conv_transformer import ConvTransformerEncoder
from kochi.encoders.encoder import FrameEncoder
from kochi.encoders.pyramid import PyramidEncoder
from kochi.encoders.subsampling import ConvSubsampling
from kochi.encoders.transformer import TransformerEncoderLayer
from kochi.layers.feedforward import FeedForward
from kochi.layers.positions import LearnedPositions, SinusoidalPositions
from kochi.memory import Frames
from kochi.models.inputs import FrameInput


def build_frame_encoder(model: config.Model, source: FrameInput) -> FrameEncoder:
    """Build an untrained encoder.

    Args:
        model: The model table of a run file, with or without an encoder table.
        source: The frames.

    Raises:
        ValueError: Options that do not fit together, or that only tokens can obey.
    """
    layout = Frames(source.hop_seconds, source.first_seconds)
    match model.encoder or default_encoder(model):
        case config.PyramidEncoder() as table:
            return PyramidEncoder(
                source.size,
                layout,
                cell=table.cell,
                hidden_size=table.hidden_size,
                num_layers=table.layers,
                halvings=table.halvings,
                bidirectional=table.bidirectional,
                dropout=table.dropout,
            )
        case config.ConvRnnEncoder() as table:
            return ConvRecurrentEncoder(
                source.size,
                layout,
                channels=table.channels,
                cell=table.cell,
                hidden_size=table.hidden_size,
                num_layers=table.layers,
                bidirectional=table.bidirectional,
                dropout=table.dropout,
            )
        case config.ConvTransformerEncoder() as table:
            return _conv_transformer(table, source.size, layout)
        case config.ConformerEncoder() as table:
            return _conformer(table, source.size, layout)
        case other:
            raise ValueError(
                f"encoder: {other.kind!r} reads pictures, and the source is frames: take "
                "'pyramid', 'conv_rnn', 'conv_transformer' or 'conformer'"
            )


def default_encoder(model: config.Model) -> config.Encoder:
    """Return the encoder table that stands for none, with what it shares with the model table.

    A pyramid for a recurrent model, convolutions and a Transformer for a Transformer.

    Raises:
        ValueError: ``reverse_source``, which is for tokens.
    """
    if isinstance(model, config.TransformerModel):
        return config.ConvTransformerEncoder(
            kind="conv_transformer",
            size=model.size,
            feedforward_size=model.feedforward_size,
            layers=model.encoder_layers,
            norm=model.norm,
            positions=model.positions,
            max_positions=model.max_positions,
            activation=model.activation,
            dropout=model.dropout,
            attention_dropout=model.attention_dropout,
            self_attention=model.self_attention,
        )
    if model.reverse_source:
        raise ValueError("reverse_source is for tokens, and the source is frames: remove the key")
    pyramid = config.PyramidEncoder(kind="pyramid")
    return pyramid.model_copy(
        update={
            "cell": model.cell,
            "hidden_size": model.hidden_size,
            "layers": max(pyramid.layers, model.encoder_layers),
            "bidirectional": model.bidirectional,
            "dropout": model.dropout,
        }
    )


def _conv_transformer(
    table: config.ConvTransformerEncoder, input_size: int, layout: Frames
) -> ConvTransformerEncoder:
    convolutions = ConvSubsampling(input_size, table.size, table.channels, table.causal)
    layers = [
        TransformerEncoderLayer(
            attention_to_itself(table, rotary=table.positions == "rotary"),
            FeedForward(table.size, table.feedforward_size, table.activation, table.dropout),
            norm=table.norm,
            dropout=table.dropout,
        )
        for _ in range(table.layers)
    ]
    norm = nn.LayerNorm(table.size) if table.norm == "pre" else nn.Identity()
    return ConvTransformerEncoder(
        layout, convolutions, _positions(table), layers, norm, table.dropout
    )


def _positions(table: config.ConvTransformerEncoder) -> nn.Module | None:
    if table.positions == "rotary":
        return None
    kind = SinusoidalPositions if table.positions == "sinusoidal" else LearnedPositions
    return kind(table.size, table.max_positions)


def _conformer(
    table: config.ConformerEncoder, input_size: int, layout: Frames
) -> ConvTransformerEncoder:
    def feedforward() -> FeedForward:
        return FeedForward(table.size, table.feedforward_size, "silu", table.dropout)

    convolutions = ConvSubsampling(input_size, table.size, table.channels, table.causal)
    layers = [
        ConformerLayer(
            attention_to_itself(table),
            feedforward(),
            Convolution(table.size, table.conv_width, table.causal),
            feedforward(),
            dropout=table.dropout,
        )
        for _ in range(table.layers)
    ]
    return ConvTransformerEncoder(layout, convolutions, None, layers, nn.Identity(), table.dropout)


def attention_to_itself(
    table: config.ConvTransformerEncoder | config.ConformerEncoder | config.VitEncoder,
    rotary: bool = False,
) -> attention.MultiHeadAttention:
    """Build the attention of frames or patches to themselves.

    Raises:
        ValueError: Parts that draw, look back, or look at the queries of a memory that stays.
    """
    module = attention.build_multihead(
        **dict(table.self_attention),
        query_size=table.size,
        memory_size=table.size,
        dropout=table.attention_dropout,
        rotary=rotary,
    )
    only_for_a_memory = (attention.PredictedScope, attention.SampledSelection, Marginal)
    parts = module.parts.scope, module.parts.selection
    if module.parts.look_back or any(isinstance(part, only_for_a_memory) for part in parts):
        raise ValueError(
            "encoder.self_attention: choose parts that neither look back at earlier alignments nor "
            "draw nor sum over a choice nor predict where to look; attention to the memory can"
        )
    return module
