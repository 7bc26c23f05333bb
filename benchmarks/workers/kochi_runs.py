"""The run files of our side, and its data: the same token numbers as everybody else's."""

from pathlib import Path
from typing import Any

from kochi import config

VOCABULARY = 8000
FIRST_PIECE = 4  # pieces 0 to 3 are marks, which kochi numbers in its own way
PLACES = {"source": "en", "target": "de"}

TINY = {
    "kind": "transformer",
    "size": 128,
    "feedforward_size": 256,
    "encoder_layers": 4,
    "decoder_layers": 4,
    "dropout": 0.3,
    "tie_embeddings": "all",
    "self_attention": {"score": "scaled_dot", "num_heads": 4},
    "attention": {"score": "scaled_dot", "num_heads": 4},
}
RNN = {
    "kind": "rnn",
    "cell": "lstm",
    "embedding_size": 256,
    "hidden_size": 256,
    "dropout": 0.2,
    "tie_embeddings": "all",
    "attention": {"score": "additive"},
}


def _selecting(selection: str) -> dict[str, str]:
    return {"score": "additive", "selection": selection}


MODELS: dict[str, dict[str, Any]] = {
    "tiny": TINY,
    "rnn-luong": RNN | {"order": "luong", "input_feeding": True},
    "rnn-bahdanau": RNN | {"order": "bahdanau"},
    "rnn-no-feeding": RNN | {"order": "luong", "input_feeding": False},
    "rnn-sparsemax": RNN | {"order": "luong", "attention": _selecting("sparsemax")},
    "rnn-entmax15": RNN | {"order": "luong", "attention": _selecting("entmax15")},
    "plain": {name: value for name, value in RNN.items() if name != "attention"}
    | {"kind": "plain"},
}


def make_run(model: str, precision: str, text: Path, folder: Path, steps: int) -> config.Run:
    """Return a run that trains for so many steps on the prepared data.

    kochi reads the piece numbers as words. One more pair, too long to be trained on, names every
    piece, so that the vocabulary has all 8,000 entries as the peers' have, seen or not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    every_piece = " ".join(map(str, range(FIRST_PIECE, VOCABULARY)))
    for side, language in PLACES.items():
        lines = (text / f"train.{language}.ids").read_text()
        (folder / f"train.{side}").write_text(f"{lines}{every_piece}\n")
    tokens = {"tokens": "whitespace", "vocabulary_size": VOCABULARY}
    tree = {
        "output": folder / "model",
        "data": {
            "kind": "parallel",
            "folder": folder,
            "train": {side: f"train.{side}" for side in PLACES},
            "source": tokens,
            "target": tokens,
            "shared_vocabulary": True,
        },
        "model": MODELS[model],
        "training": {
            "max_steps": steps,
            "batch_tokens": 4096,
            "learning_rate": 5e-4,
            "label_smoothing": 0.1,
            "matmul_precision": "highest" if precision == "bf16" else precision,
            "precision": "bf16" if precision == "bf16" else "fp32",
            "metric": "loss",
            "accelerator": "cpu",
        },
    }
    return config.check_run(tree, "the benchmark's run")
