"""The models that studies compare, as tables of a run file."""

from typing import Any

Model = dict[str, Any]


def plain(size: int) -> Model:
    """Return an encoder-decoder with a fixed vector."""
    return {"kind": "plain", **_recurrent(size)}


def one_way(model: Model) -> Model:
    """Return the model with a unidirectional encoder."""
    return {**model, "bidirectional": False}


def bahdanau(size: int) -> Model:
    """Return a recurrent model with additive attention before each step (Bahdanau et al. 2015)."""
    return {"kind": "rnn", "order": "bahdanau", **_recurrent(size)}


def luong(size: int, input_feeding: bool = True, **attention: Any) -> Model:
    """Return a recurrent model with attention after each step (Luong et al. 2015).

    The encoder is unidirectional, as in the paper: queries and memory then have the same size,
    which the dot score requires.

    Args:
        size: Hidden size.
        input_feeding: Whether the context is an input of the next step.
        attention: Components of the run file's table of attention.
    """
    feeding = {"order": "luong", "input_feeding": input_feeding}
    return one_way({"kind": "rnn", **feeding, **_recurrent(size), "attention": attention})


def transformer(size: int) -> Model:
    """Return a Transformer with two layers per side, four heads (Vaswani et al. 2017, reduced)."""
    layers = {"encoder_layers": 2, "decoder_layers": 2}
    return {"kind": "transformer", "size": size, "feedforward_size": 2 * size, **layers}


def spoken(size: int) -> Model:
    """Return a model of convolutions and a BiLSTM over frames, LSTM decoder in Luong's order."""
    encoder = {"kind": "conv_rnn", "channels": 8, "hidden_size": size * 3 // 4, "layers": 1}
    return {
        "kind": "rnn",
        "order": "luong",
        **_recurrent(size),
        "encoder": {**encoder, "dropout": 0.1},
    }


def _recurrent(size: int) -> Model:
    return {"embedding_size": size, "hidden_size": size, "dropout": 0.1}
