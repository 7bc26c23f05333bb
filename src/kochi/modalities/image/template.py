"""Write a commented run file that trains on images."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from kochi.data.left_out import LeftOut, nothing_left, usable
from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.listed import Listed
from kochi.modalities.detection.manifests import data_of, data_table, settle
from kochi.modalities.detection.opening import NO_EARLY_STOP, opening, toml
from kochi.modalities.image.files import read_picture
from kochi.modalities.pairs import read_pairs
from kochi.modalities.text.heuristics import Side, count_side, guess_tokens

SAMPLE = 2000
MEASURED = 40  # images whose size is measured
WIDE = 2.5  # width divided by height, from which an image is a line of text or a formula
LARGEST, LARGEST_LINE = 128, (96, 512)  # pixels on a side; height and width of a line
STEPS, WARMUP = 4000, 200
NAME = 8  # maximum length in words of a text that is either right or wrong as a whole
MODEL = """\
# Another encoder: encoder = "vit" (patches and a Transformer) or a table of its options. Another
# model: kind = "transformer", without order, embedding_size, hidden_size and attention.score.
[model]
kind = "rnn"
order = "xu"  # looks, weighs what it saw, then writes
embedding_size = 128
hidden_size = 256
dropout = 0.2  # raise it when the dev metric falls while the loss falls
encoder = {encoder}
attention.score = "additive"
# attention.selection = {{ kind = "hard", expected_share = 0.5 }}  # one position a word
"""


@dataclass(frozen=True)
class Sizes:
    """The counts: training rows, the size of the model's input, the text.

    ``several`` tells whether images have several references.
    """

    num_rows: int
    height: int
    width: int
    line: bool
    grey: bool
    several: bool
    text: Side


def write_seeing(
    seen: Listed, run_file: Path, output: str, seed: int, choices: Choices
) -> tuple[int, str, tuple[str, ...]]:
    """Write a run file; split off dev and test rows first if they are missing.

    Returns:
        The number of training rows, a summary of the chosen settings, and remarks for the user.

    Raises:
        UserError: No image can be read.
    """
    seen, sizes, notes = settle(seen, run_file, seed, choices, _count)
    tokens = guess_tokens(sizes.text, target=True)
    run_file.write_text(_text(seen, sizes, tokens, run_file, output, seed), encoding="utf-8")
    colour = "grey" if sizes.grey else "in colour"
    notes.append(f"pictures are read at {sizes.width} x {sizes.height} pixels, {colour}")
    return sizes.num_rows, f"tokens: {tokens}; model: rnn", tuple(notes)


def _count(seen: Listed, left_out: LeftOut) -> Sizes:
    pairs = read_pairs(data_of(seen), "train", left_out)
    sample = list(islice(pairs, SAMPLE))
    count = len(sample) + sum(1 for _ in pairs)
    measured = sample[:: max(1, len(sample) // MEASURED)][:MEASURED]
    pictures = [*usable(measured, lambda pair: read_picture(pair.source), left_out)]
    if not pictures:
        raise nothing_left(left_out, "no picture can be read")
    grey = all(np.ptp(pixels.astype(np.int16), axis=2).max() <= 2 for pixels in pictures)
    high, wide = np.array([pixels.shape[:2] for pixels in pictures]).T
    text = count_side(pair.references[0] for pair in sample)
    several = len({pair.source.path for pair in sample}) < len(sample)
    if np.median(wide / high) >= WIDE:
        sides = [_up(float(side)) for side in (high.max(), wide.max())]
        height, width = (min(a, b) for a, b in zip(sides, LARGEST_LINE, strict=True))
        return Sizes(count, height, width, True, grey, several, text)
    side = min(LARGEST, _up(float(np.quantile([high, wide], 0.9))))
    return Sizes(count, side, side, False, grey, several, text)


def _up(side: float) -> int:
    """Round up to a multiple of the encoder's cells.

    >>> _up(60.0)
    64
    """
    return 8 * -(-int(side) // 8)


def _metric(sizes: Sizes, tokens: str) -> str:
    """Choose the dev metric: exact match for names, graded metrics for long and free texts."""
    closed = tokens == "whitespace" or sizes.text.words_per_text <= NAME
    if closed and not sizes.several:
        return "exact"
    return "cer" if tokens == "characters" else "bleu"


def _text(seen: Listed, sizes: Sizes, tokens: str, run_file: Path, output: str, seed: int) -> str:
    squares = sizes.height * sizes.width // 64
    batch = squares * 32
    epochs = max(10, min(100, round(STEPS * 32 / sizes.num_rows)))
    warmup = min(WARMUP, max(1, epochs * -(-sizes.num_rows // 32) // 10))
    front_end: dict[str, int | str] = {"height": sizes.height, "width": sizes.width}
    front_end |= {
        "colour": "grey" if sizes.grey else "rgb",
        "fit": "shrink" if sizes.line else "pad",
    }
    encoder = '{ kind = "cnn", channels = [32, 64, 128] }  # cells of 8 x 8 pixels'
    if sizes.line:
        encoder = '{ kind = "cnn_rows", channels = [32, 64, 128] }  # reads along each row'
    distortion = "{ shift = 0.03, zoom = 0.05, contrast = 0.1 }"
    metric = toml(_metric(sizes, tokens))
    table = data_table(seen, run_file.parent)
    return "\n".join(
        [
            *opening(f"{sizes.num_rows:,} pictures with text", run_file, output, seed, table),
            "# How the text is cut: characters, whitespace (cut at spaces), or bpe.",
            f"target.tokens = {toml(tokens)}",
            f"front_end = {toml(front_end)}  # what is larger is made smaller, its aspect kept",
            "",
            MODEL.format(encoder=encoder),
            "[training]",
            f"epochs = {epochs}",
            f"batch_tokens = {batch}  # squares of 8 x 8 pixels in a batch: 32 pictures",
            "learning_rate = 0.001",
            f'schedule = {{ kind = "cosine", warmup_steps = {warmup} }}',
            f"distortion = {distortion}  # pictures differ a little in every epoch",
            f"metric = {metric}  # on dev: exact, bleu, chrf, wer, cer or loss",
            *NO_EARLY_STOP,
            "",
            "[search]",
            "beam = 3  # 1 is greedy: faster, a little worse",
            "max_length_ratio = 0.5  # tokens for each position of the memory, at most",
            "max_length_extra = 50",
            "",
        ]
    )
