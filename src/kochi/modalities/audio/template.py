"""Write a commented run file that trains on recordings or features."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from kochi.data.left_out import LeftOut, nothing_left, usable
from kochi.data.pair import Pair
from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.listed import Listed
from kochi.modalities.detection.manifests import data_of, data_table, settle
from kochi.modalities.detection.opening import NO_EARLY_STOP, opening, toml
from kochi.modalities.pairs import read_pairs
from kochi.modalities.text.heuristics import Side, count_side

SAMPLE = 2000
MEASURED = 50  # rows whose length is measured
CLOSED_WORDS = 100
STEPS = 4000
MODEL = """\
# Other models: kind = "transformer"; other encoders: pyramid, conv_transformer, conformer.
[model]
kind = "rnn"
order = "luong"  # step, then attend; "bahdanau" attends first: slower to train
input_feeding = true  # each step also sees where it looked
embedding_size = 128
hidden_size = 256
dropout = 0.2  # raise it when the dev metric falls while the loss falls
encoder = { kind = "conv_rnn", hidden_size = 256, layers = 3 }  # four frames become one
attention.score = "location_aware"  # sees where it looked last: speech goes forward
"""


@dataclass(frozen=True)
class Sizes:
    """The counts: training rows, seconds per row, sample rate of the recordings, the text."""

    num_rows: int
    seconds: float
    sample_rate_hz: int
    text: Side


def write_hearing(
    heard: Listed, run_file: Path, output: str, seed: int, choices: Choices
) -> tuple[int, str, tuple[str, ...]]:
    """Write a run file; split off dev and test rows first if they are missing.

    Returns:
        The number of training rows, a summary of the chosen settings, and remarks for the user.

    Raises:
        UserError: No row can be read.
    """
    heard, sizes, notes = settle(heard, run_file, seed, choices, _count)
    tokens = _tokens(sizes.text)
    run_file.write_text(_text(heard, sizes, tokens, run_file, output, seed), encoding="utf-8")
    minutes = sizes.num_rows * sizes.seconds / 60
    lasting = f"{minutes:.0f} minutes" if minutes >= 2 else f"{60 * minutes:.0f} seconds"
    notes.append(f"the training rows last about {lasting} in all")
    return sizes.num_rows, f"tokens: {tokens}; model: rnn", tuple(notes)


def _count(heard: Listed, left_out: LeftOut) -> Sizes:
    from kochi.modalities.audio.files import duration_seconds
    from kochi.modalities.features.reader import FeatureReader

    data = data_of(heard)
    pairs = read_pairs(data, "train", left_out)
    sample = list(islice(pairs, SAMPLE))
    count = len(sample) + sum(1 for _ in pairs)
    measured = sample[:: max(1, len(sample) // MEASURED)]
    if heard.kind == "sound":
        found = [
            *usable(measured, lambda pair: (duration_seconds(pair.source), _rate(pair)), left_out)
        ]
        rate = 8000 if found and found[0][1] <= 8000 else 16_000
        lengths = [seconds for seconds, _ in found]
    else:
        reader = FeatureReader.like(measured[0].source, data)
        lengths = [
            *usable(
                measured, lambda pair: reader.seconds(len(reader.encode(pair.source))), left_out
            )
        ]
        rate = 0
    if not lengths:
        raise nothing_left(left_out, "no row can be read")
    text = count_side(pair.references[0] for pair in sample)
    return Sizes(count, sum(lengths) / len(lengths), rate, text)


def _rate(pair: Pair) -> int:
    import soundfile

    return soundfile.info(str(pair.source.paths[0])).samplerate


def _tokens(text: Side) -> str:
    """Choose whole words for a small closed set of frequent ones, otherwise characters."""
    closed = text.distinct_words <= CLOSED_WORDS and text.num_words >= 20 * text.distinct_words
    return "whitespace" if closed else "characters"


# --------------------------------------------------------------------------------------- run file


def _text(heard: Listed, sizes: Sizes, tokens: str, run_file: Path, output: str, seed: int) -> str:
    frames = max(1, round(sizes.num_rows * sizes.seconds * 100))
    batch = 1000 * round(min(24_000, max(3000, frames / 200)) / 1000)
    epochs = max(10, min(100, round(STEPS * batch / frames)))
    table = data_table(heard, run_file.parent)
    front_end = "front_end.deltas = 1  # how each number changes is put beside it"
    if heard.kind == "sound":
        bins = 40 if sizes.sample_rate_hz == 8000 else 80
        front_end = f"front_end = {{ sample_rate_hz = {sizes.sample_rate_hz}, mel_bins = {bins} }}"
    speeds = "speeds = [0.9, 1.0, 1.1], " if heard.kind == "sound" else ""
    what = "recordings" if heard.kind == "sound" else "rows of features"
    return "\n".join(
        [
            *opening(f"{sizes.num_rows:,} {what}", run_file, output, seed, table),
            "# How the text is cut: characters, whitespace (cut at spaces), or bpe.",
            f"target.tokens = {toml(tokens)}",
            front_end,
            "max_seconds = 30.0  # longer rows are left out of training",
            "",
            MODEL,
            "[training]",
            f"epochs = {epochs}",
            f"batch_tokens = {batch}  # frames (of 10 ms) in a batch, padding included",
            "learning_rate = 0.001",
            'schedule = { kind = "cosine", warmup_steps = 200 }',
            "ctc_weight = 0.3  # a second loss, that helps attention to go forward; 0 is off",
            f"augmentation = {{ {speeds}time_width = 30 }}  # remove it for much data",
            'metric = "wer"  # on dev: wer, cer, exact or loss',
            *NO_EARLY_STOP,
            "",
            "[search]",
            "beam = 5  # 1 is greedy: faster, a little worse",
            "ctc_weight = 0.3  # how much CTC has to say",
            "max_length_ratio = 1.0  # tokens for each position of the memory, at most",
            "",
        ]
    )
