"""Build the model that a run file's model table describes."""

from typing import Any

from torch import nn

from kochi import attention, config
from kochi.attention.selections import Marginal
from kochi.decoders.bahdanau import BahdanauDecoder
from kochi.decoders.decoder import Decoder
from kochi.decoders.luong import LuongDecoder
from kochi.decoders.marginal import MarginalDecoder
from kochi.decoders.plain import PlainDecoder
from kochi.decoders.transformer import TransformerDecoder, TransformerDecoderLayer
from kochi.decoders.xu import XuDecoder
from kochi.encoders.encoder import FrameEncoder
from kochi.encoders.picture import PictureEncoder
from kochi.encoders.recurrent import RecurrentEncoder
from kochi.encoders.transformer import TransformerEncoder, TransformerEncoderLayer
from kochi.layers.embedding import Embedding
from kochi.layers.feedforward import FeedForward
from kochi.layers.positions import LearnedPositions, SinusoidalPositions
from kochi.models.frame_encoders import build_frame_encoder
from kochi.models.inputs import FrameInput, Input, PictureInput, TokenInput
from kochi.models.picture_encoders import build_picture_encoder
from kochi.models.seq2seq import Seq2Seq

ONLY_FOR_A_MEMORY = (
    attention.RecurrentScore,
    attention.RecurrentScope,
    attention.RecurrentSelection,
    attention.SampledSelection,
)


def build_model(
    model: config.Model, source: Input, target_vocabulary: int, *, ctc: bool = False
) -> Seq2Seq:
    """Build an untrained model; its weights depend on torch's random state alone.

    Args:
        model: The model table of a run file.
        source: What the model reads.
        target_vocabulary: Number of target tokens, special ones included.
        ctc: Give the model a layer that tells a token for each place of the memory (see
            `Seq2Seq`), drawn after all other weights.

    Raises:
        ValueError: Sizes that do not fit together; the message names them.
    """
    if not isinstance(source, TokenInput):
        built = _on_numbers(model, source, target_vocabulary)
    elif model.encoder is not None:
        raise ValueError(
            f"encoder: {model.encoder.kind!r} reads frames or pictures, and the source is tokens: "
            "remove the table"
        )
    elif isinstance(model, config.TransformerModel):
        built = _transformer(model, source.vocabulary, target_vocabulary)
    else:
        built = _recurrent(model, source.vocabulary, target_vocabulary)
    if ctc:
        built.add_ctc(target_vocabulary)
    return built


def _on_numbers(
    model: config.Model, source: FrameInput | PictureInput, target_vocabulary: int
) -> Seq2Seq:
    if model.tie_embeddings == "all":
        what = "frames" if isinstance(source, FrameInput) else "pictures"
        raise ValueError(f"tie_embeddings = 'all' needs source tokens, and the source is {what}")
    if isinstance(source, FrameInput):
        encoder = build_frame_encoder(model, source)
    else:
        encoder = build_picture_encoder(model, source)
    if not isinstance(model, config.TransformerModel):
        target = Embedding(target_vocabulary, model.embedding_size)
        return Seq2Seq(encoder, _recurrent_decoder(model, target, encoder))
    layers = _decoder_layers(model, encoder.memory_size)
    target = Embedding(target_vocabulary, model.size)
    return Seq2Seq(encoder, _transformer_decoder(model, target, layers))


def _recurrent(
    model: config.PlainModel | config.RnnModel, source_vocabulary: int, target_vocabulary: int
) -> Seq2Seq:
    source, target = _embeddings(
        model.tie_embeddings, source_vocabulary, target_vocabulary, model.embedding_size
    )
    encoder = RecurrentEncoder(
        source,
        cell=model.cell,
        hidden_size=model.hidden_size,
        num_layers=model.encoder_layers,
        bidirectional=model.bidirectional,
        reverse_source=model.reverse_source,
        dropout=model.dropout,
    )
    return Seq2Seq(encoder, _recurrent_decoder(model, target, encoder))


def _embeddings(
    tie: str, source_vocabulary: int, target_vocabulary: int, size: int
) -> tuple[Embedding, Embedding]:
    source = Embedding(source_vocabulary, size)
    if tie != "all":
        return source, Embedding(target_vocabulary, size)
    if source_vocabulary != target_vocabulary:
        raise ValueError(
            "tie_embeddings = 'all' needs one vocabulary (shared_vocabulary = true), "
            f"got {source_vocabulary} source and {target_vocabulary} target tokens"
        )
    return source, source


def _recurrent_decoder(
    model: config.PlainModel | config.RnnModel,
    target: Embedding,
    encoder: RecurrentEncoder | FrameEncoder | PictureEncoder,
) -> Decoder:
    alone = isinstance(model, config.RnnModel) and model.first_state == "learned"
    common = {
        "summary_size": None if alone else encoder.summary_size,
        "cell": model.cell,
        "hidden_size": model.hidden_size,
        "num_layers": model.decoder_layers,
        "dropout": model.dropout,
        "tie_embeddings": model.tie_embeddings != "none",
    }
    if isinstance(model, config.PlainModel):
        return PlainDecoder(target, **common)
    attend = attention.build(
        **dict(model.attention),
        query_size=model.hidden_size,
        memory_size=encoder.memory_size,
    )
    if isinstance(attend.selection, Marginal):
        return MarginalDecoder(target, _of_one_choice(model, attend), **common)
    if model.order == "bahdanau":
        return BahdanauDecoder(target, attend, **common)
    if model.order == "xu":
        return XuDecoder(target, attend, **common)
    return LuongDecoder(target, attend, input_feeding=model.input_feeding is not False, **common)


def _of_one_choice(
    model: config.RnnModel, attend: attention.Attention | attention.MultiHeadAttention
) -> attention.Attention:
    """Refuse where a sum over places at each step would not be the sum over all choices.

    Raises:
        ValueError: Later steps depend on the choice, or a step makes several choices.
    """
    if model.order != "luong" or model.input_feeding is not False:
        raise ValueError(
            "attention: selection 'marginal' sums over the choice of a place at each step, exactly "
            "if later steps do not depend on it; here the next state reads what was looked at: the "
            "sum would be over all paths of choices, exponentially many; set order = 'luong' and "
            "input_feeding = false, or take 'hard' for its Monte-Carlo gradient"
        )
    if not isinstance(attend, attention.Attention):
        raise ValueError(
            f"attention: selection 'marginal' with num_heads = {attend.num_heads} would sum over "
            f"every joint choice of the heads, the number of places to the power of "
            f"{attend.num_heads}; set num_heads = 1"
        )
    return attend


def _transformer(
    model: config.TransformerModel, source_vocabulary: int, target_vocabulary: int
) -> Seq2Seq:
    source, target = _embeddings(
        model.tie_embeddings, source_vocabulary, target_vocabulary, model.size
    )
    common = {"norm": model.norm, "dropout": model.dropout}
    rotary = model.positions == "rotary"
    encoder_layers = [
        TransformerEncoderLayer(_self_attention(model, [], rotary), _feedforward(model), **common)
        for _ in range(model.encoder_layers)
    ]
    decoder_layers = _decoder_layers(model, model.size)
    return Seq2Seq(
        TransformerEncoder(source, _positions(model), encoder_layers, _norm(model), model.dropout),
        _transformer_decoder(model, target, decoder_layers),
    )


def _decoder_layers(
    model: config.TransformerModel, memory_size: int
) -> list[TransformerDecoderLayer]:
    common = {"norm": model.norm, "dropout": model.dropout}
    rotary = model.positions == "rotary"
    return [
        TransformerDecoderLayer(
            _self_attention(model, ["causal"], rotary),
            _multihead(model, dict(model.attention), False, memory_size),
            _feedforward(model),
            **common,
        )
        for _ in range(model.decoder_layers)
    ]


def _transformer_decoder(
    model: config.TransformerModel, target: Embedding, layers: list[TransformerDecoderLayer]
) -> TransformerDecoder:
    return TransformerDecoder(
        target,
        _positions(model),
        layers,
        _norm(model),
        dropout=model.dropout,
        tie_embeddings=model.tie_embeddings != "none",
    )


def _multihead(
    model: config.TransformerModel,
    table: dict[str, Any],
    rotary: bool,
    memory_size: int | None = None,
) -> attention.MultiHeadAttention:
    module = attention.build_multihead(
        **table,
        query_size=model.size,
        memory_size=model.size if memory_size is None else memory_size,
        dropout=model.attention_dropout,
        rotary=rotary,
    )
    if isinstance(module.selection, Marginal):
        raise ValueError(
            "attention: selection 'marginal' sums over the choice of a place, and in a Transformer "
            "the layers and positions above read what was chosen in every head below: the sum "
            "would be over all joint choices, exponentially many; take 'hard' for its Monte-Carlo "
            "gradient, or kind = 'rnn' with order = 'luong' and input_feeding = false"
        )
    return module


def _self_attention(
    model: config.TransformerModel, scopes: list[str], rotary: bool
) -> attention.MultiHeadAttention:
    """Build the attention of a sequence to itself, with scopes beside those of the run file.

    Raises:
        ValueError: Parts that need a memory that stays, and queries that follow each other.
    """
    table = dict(model.self_attention)
    own = table["scope"]
    table["scope"] = [*scopes, *(own if isinstance(own, list) else [own])]
    module = _multihead(model, table, rotary)
    if isinstance(module.scope, attention.PredictedScope):
        raise ValueError(
            "self_attention: a scope that predicts its window, such as 'local_p', predicts a share "
            "of the sequence's length, which nobody knows while the target is being written; here "
            "choose scopes that go by positions, such as 'sliding_window'"
        )
    for part in (module.score, module.scope, module.selection):
        if isinstance(part, ONLY_FOR_A_MEMORY):
            raise ValueError(
                f"self_attention: {type(part).__name__} looks back at earlier alignments or draws, "
                "which attention to the memory can; here choose parts that do neither"
            )
    return module


def _feedforward(model: config.TransformerModel) -> FeedForward:
    return FeedForward(model.size, model.feedforward_size, model.activation, model.dropout)


def _positions(model: config.TransformerModel) -> nn.Module | None:
    if model.positions == "rotary":
        return None
    kind = SinusoidalPositions if model.positions == "sinusoidal" else LearnedPositions
    return kind(model.size, model.max_positions)


def _norm(model: config.TransformerModel) -> nn.Module:
    return nn.LayerNorm(model.size) if model.norm == "pre" else nn.Identity()
