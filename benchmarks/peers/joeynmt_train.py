"""Train with JoeyNMT's own command and report its target tokens per second.

    joeynmt_train.py MODEL DATA FOLDER WARM_STEPS STEPS

MODEL is "transformer" or "rnn". JoeyNMT prints tokens per second for windows of steps; the first
window (WARM_STEPS or more) is dropped. It counts target tokens that are not padding, the end of
the sentence included. It shuffles without buckets of similar lengths, so that part of its time goes
into padding: that is how it trains.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from statistics import harmonic_mean

SPECIAL = {
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_id": 0,
    "pad_id": 1,
    "bos_id": 2,
    "eos_id": 3,
}
TRANSFORMER = {
    "type": "transformer",
    "num_layers": 4,
    "num_heads": 4,
    "embeddings": {"embedding_dim": 128, "scale": True},
    "hidden_size": 128,
    "ff_size": 256,
    "dropout": 0.3,
    "layer_norm": "pre",
}
RECURRENT = {
    "type": "recurrent",
    "rnn_type": "lstm",
    "num_layers": 1,
    "embeddings": {"embedding_dim": 256},
    "hidden_size": 256,
    "dropout": 0.2,
}
READER = RECURRENT | {"bidirectional": True}
WRITER = RECURRENT | {
    "hidden_dropout": 0.2,
    "input_feeding": True,
    "attention": "bahdanau",
    "init_hidden": "bridge",
}
SIDES = {"transformer": (TRANSFORMER, TRANSFORMER), "rnn": (READER, WRITER)}


def run_file(model: str, data: Path, folder: Path, window: int, steps: int) -> dict:
    """Return the run file as a tree; JSON, in which it is written, is YAML too."""
    side = {
        "max_length": 256,
        "level": "bpe",
        "voc_file": str(data / "pieces.txt"),
        "tokenizer_type": "sentencepiece",
        "tokenizer_cfg": {"model_file": str(data / "pieces.model"), "model_type": "bpe"},
    }
    encoder, decoder = SIDES[model]
    return {
        "name": model,
        "joeynmt_version": "2.3.0",
        "model_dir": str(folder / model),
        "use_cuda": False,
        "fp16": False,
        "random_seed": 1,
        "data": {
            "train": str(data / "train"),
            "dev": str(data / "val"),
            "dataset_type": "plain",
            "src": side | {"lang": "en"},
            "trg": side | {"lang": "de"},
            "special_symbols": SPECIAL,
        },
        "testing": {"beam_size": 1, "batch_size": 64, "eval_metrics": ["bleu"]},
        "training": {
            "optimizer": "adamw",
            "adam_betas": [0.9, 0.98],
            "learning_rate": 0.0005,
            "scheduling": "warmupinversesquareroot",
            "learning_rate_warmup": 2000,
            "loss": "crossentropy",
            "label_smoothing": 0.1,
            "normalization": "tokens",
            "batch_size": 4096,
            "batch_type": "token",
            "epochs": 100,
            "updates": steps,
            "logging_freq": window,
            "validation_freq": 1000 * window,
            "overwrite": True,
        },
        "model": {
            "initializer": "xavier_uniform",
            "bias_initializer": "zeros",
            "tied_embeddings": True,
            "tied_softmax": True,
            "encoder": encoder,
            "decoder": decoder,
        },
    }


def main() -> None:
    model, data, folder = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    warm, steps = int(sys.argv[4]), int(sys.argv[5])
    folder.mkdir(parents=True, exist_ok=True)
    window = max(warm, 1)
    windows = -(-steps // window)
    tree = run_file(model, data, folder, window, (1 + windows) * window)
    path = folder / f"{model}.yaml"
    path.write_text(json.dumps(tree, indent=1))
    command = [sys.executable, "-m", "joeynmt", "train", str(path), "-t"]
    done = subprocess.run(command, capture_output=True, text=True)
    text = done.stdout + done.stderr
    rates = [float(rate) for rate in re.findall(r"Tokens per Sec: +(\d+)", text)]
    if done.returncode or len(rates) != 1 + windows:
        sys.exit(f"{' '.join(command)}: {len(rates)} windows logged\n{text[-4000:]}")
    found = re.search(r"Total params: *([\d,]+)", text)
    params = int(found[1].replace(",", "")) if found else 0
    result = {"tokens_per_second": harmonic_mean(rates[1:]), "parameters": params}
    print(json.dumps({"fp32": result}))


if __name__ == "__main__":
    main()
