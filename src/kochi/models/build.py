"""Build the model that a run file's model table describes."""

from torch.nn.parameter import is_lazy

from kochi import attention, config
from kochi.attention.selections import Marginal
from kochi.components import Choice, ComponentError
from kochi.decoders.decoder import Decoder
from kochi.decoders.marginal import MarginalDecoder
from kochi.decoders.plain import PlainDecoder
from kochi.decoders.transformer import TransformerDecoder, TransformerDecoderLayer
from kochi.encoders import ENCODERS, Encoder
from kochi.inputs import FrameInput, Input, PictureInput, TokenInput
from kochi.layers.embedding import Embedding
from kochi.layers.feedforward import FeedForward, last_norm
from kochi.layers.positions import positions_of
from kochi.layers.self_attention import attention_to_itself, refuse_marginal
from kochi.models.seq2seq import Seq2Seq

# Default encoders if the model table names none: of recurrent models, and of a Transformer.
DEFAULTS = {
    TokenInput: ("recurrent", "transformer"),
    FrameInput: ("pyramid", "conv_transformer"),
    PictureInput: ("cnn", "vit"),
}


def build_model(
    model: config.Model, source: Input, target_vocabulary: int, *, ctc: bool = False
) -> Seq2Seq:
    """Build an untrained model; its weights depend only on torch's random state.

    Args:
        model: The model table of a run file.
        source: Description of the source.
        target_vocabulary: Number of target tokens, special ones included.
        ctc: Add a layer that predicts a token for each position of the memory (see `Seq2Seq`),
            initialised after all other weights.

    Raises:
        ValueError: Sizes do not match; the message names them.
    """
    tokens = isinstance(source, TokenInput)
    if model.tie_embeddings == "all" and not tokens:
        raise ValueError(
            f"tie_embeddings = 'all' needs source tokens, but the source is {source.name}"
        )
    size = model.size if isinstance(model, config.TransformerModel) else model.embedding_size
    embedding = target = None
    if tokens:
        embedding, target = _embeddings(
            model.tie_embeddings, source.vocabulary, target_vocabulary, size
        )
    encoder = build_encoder(model, source, embedding)
    if isinstance(model, config.TransformerModel):
        layers = _decoder_layers(model, encoder.memory_size)
        target = target or Embedding(target_vocabulary, size)
        decoder = _transformer_decoder(model, target, layers)
    else:
        target = target or Embedding(target_vocabulary, size)
        decoder = _recurrent_decoder(model, target, encoder)
    built = Seq2Seq(encoder, decoder)
    if ctc:
        built.add_ctc(target_vocabulary)
    return built


def build_encoder(model: config.Model, source: Input, embedding: Embedding | None) -> Encoder:
    """Build an untrained encoder: that of the model table, or the default one.

    Args:
        model: The model table of a run file.
        source: Description of the source.
        embedding: The embedding of the source tokens, if the source is text.

    Raises:
        ValueError: Options do not match, or the encoder is for another kind of source.
    """
    choice = model.encoder or default_encoder(model, source)
    if not isinstance(source, choice.component.reads):
        kinds = [kind for kind in ENCODERS if isinstance(source, ENCODERS.component(kind).reads)]
        raise ValueError(
            f"encoder: {choice.kind!r} reads {choice.component.reads.name}, but the source is "
            f"{source.name}: use {', '.join(map(repr, kinds[:-1]))} or {kinds[-1]!r}"
        )
    return _checked(choice.build(source=source, embedding=embedding), choice.kind)


def _checked(encoder: Encoder, kind: str) -> Encoder:
    """Refuse an encoder, possibly of another package, that lacks what a model needs.

    Raises:
        ComponentError: A size is missing, or a parameter has no shape yet.
    """
    for size in ("memory_size", "summary_size"):
        if not isinstance(getattr(encoder, size, None), int):
            raise ComponentError(f"encoder {kind!r}: has no {size}; set it in the constructor")
    if any(map(is_lazy, encoder.parameters())):
        raise ComponentError(
            f"encoder {kind!r}: has a lazy layer, whose size is unknown; give it its size"
        )
    return encoder


def default_encoder(model: config.Model, source: Input) -> Choice[Encoder]:
    """Return the default encoder, with the options it inherits from the model table.

    Raises:
        ValueError: ``reverse_source`` is set for a source that is not text.
    """
    transformer = isinstance(model, config.TransformerModel)
    if not transformer and model.reverse_source and not isinstance(source, TokenInput):
        raise ValueError(
            f"reverse_source is for tokens, but the source is {source.name}: remove the key"
        )
    kind = DEFAULTS[type(source)][transformer]
    component = ENCODERS.component(kind)
    options = {
        name: getattr(model, name)
        for name in component.inherits
        if name in type(model).model_fields
    }
    if "layers" in component.inherits:
        options["layers"] = max(model.encoder_layers, component.fewest_layers)
    return Choice(ENCODERS.name, kind, component, options)


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
    encoder: Encoder,
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
    return model.order.build(embedding=target, attention=attend, **common)


def _of_one_choice(
    model: config.RnnModel, attend: attention.Attention | attention.MultiHeadAttention
) -> attention.Attention:
    """Refuse a model in which a sum over positions at each step is not the sum over all choices.

    Raises:
        ValueError: Later steps depend on the chosen position, or a step has several.
    """
    if model.order.kind != "luong" or model.order.option("input_feeding"):
        raise ValueError(
            "attention: selection 'marginal' sums over positions at each step, which is exact only "
            "if later steps do not depend on them; here the next state depends on the context: the "
            "sum would be over all paths, exponentially many; set order = 'luong' and "
            "input_feeding = false, or use 'hard' with its Monte-Carlo gradient"
        )
    if not isinstance(attend, attention.Attention):
        raise ValueError(
            f"attention: selection 'marginal' with num_heads = {attend.num_heads} would sum over "
            f"all joint positions of the heads, the source length to the power of "
            f"{attend.num_heads}; set num_heads = 1"
        )
    return attend


def _decoder_layers(
    model: config.TransformerModel, memory_size: int
) -> list[TransformerDecoderLayer]:
    common = {"norm": model.norm, "dropout": model.dropout}
    rotary = model.positions == "rotary"
    return [
        TransformerDecoderLayer(
            attention_to_itself(
                model.self_attention, model.size, model.attention_dropout, rotary, ["causal"]
            ),
            _to_memory(model, memory_size),
            FeedForward(model.size, model.feedforward_size, model.activation, model.dropout),
            **common,
        )
        for _ in range(model.decoder_layers)
    ]


def _transformer_decoder(
    model: config.TransformerModel, target: Embedding, layers: list[TransformerDecoderLayer]
) -> TransformerDecoder:
    return TransformerDecoder(
        target,
        positions_of(model.positions, model.size, model.max_positions),
        layers,
        last_norm(model.norm, model.size),
        dropout=model.dropout,
        tie_embeddings=model.tie_embeddings != "none",
    )


def _to_memory(model: config.TransformerModel, memory_size: int) -> attention.MultiHeadAttention:
    """Build the attention of a Transformer's decoder to the memory."""
    module = attention.build_multihead(
        **dict(model.attention),
        query_size=model.size,
        memory_size=memory_size,
        dropout=model.attention_dropout,
    )
    refuse_marginal(module)
    return module
