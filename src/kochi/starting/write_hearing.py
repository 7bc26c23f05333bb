"""Write a commented run file that trains on recordings or features."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from kochi import config
from kochi.data.lines import lines
from kochi.data.manifest import read_rows
from kochi.data.pairs import Pair, read_pairs
from kochi.errors import UserError
from kochi.starting.guess import Side, count_side
from kochi.starting.hear import Heard
from kochi.starting.split import choose_keys, hash_source

SAMPLE = 2000
MEASURED = 50  # rows whose length is looked at
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
    """What was counted: training rows, seconds of a row, rate of the recordings, the text."""

    num_rows: int
    seconds: float
    sample_rate_hz: int
    text: Side


def write_hearing(
    heard: Heard, run_file: Path, output: str, seed: int
) -> tuple[int, str, tuple[str, ...]]:
    """Write a run file; split off dev and test rows first where they are not there.

    Returns:
        The number of training rows, what was chosen, and remarks for the user.

    Raises:
        UserError: Rows cannot be read, or are too few to split.
    """
    notes: list[str] = []
    if "dev" not in heard.splits:
        heard, note = _split(heard, run_file, seed)
        notes.append(note)
    data = _data(heard)
    sizes = _count(heard, data)
    tokens = _tokens(sizes.text)
    run_file.write_text(_text(heard, sizes, tokens, run_file, output, seed), encoding="utf-8")
    minutes = sizes.num_rows * sizes.seconds / 60
    notes.append(f"about {minutes:.0f} minutes to train on")
    return sizes.num_rows, f"tokens: {tokens}; model: rnn", tuple(notes)


# -------------------------------------------------------------------------------- looking at rows


def _table(heard: Heard, base: Path) -> dict[str, Any]:
    """Return the data table, with paths as seen from ``base``."""
    table: dict[str, Any] = {"kind": heard.kind}
    for split, path in heard.splits.items():
        table[split] = _relative(path, base)
        if heard.kind == "features":
            arrays = _relative(heard.arrays[split], base)
            table[split] = {"manifest": table[split], "arrays": arrays}
    if heard.source:
        column = "audio_column" if heard.kind == "sound" else "key_column"
        table |= {column: heard.source, "text_column": heard.text}
    if heard.split_column is not None:
        table["split_column"] = heard.split_column
    if heard.kind == "sound" and heard.source:
        folder = heard.audio_folder or heard.splits["train"].parent
        table["audio_folder"] = _relative(folder, base)
    if heard.joined_by is not None:
        table["joined_by"] = heard.joined_by
    return table


def _data(heard: Heard) -> Any:
    tree = {"data": _table(heard, Path.cwd()), "model": {"kind": "rnn"}}
    return config.check_run(tree, "kochi init").data


def _relative(path: Path, base: Path) -> str:
    path, base = path.resolve(), base.resolve()
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def _count(heard: Heard, data: Any) -> Sizes:
    from kochi.data.readers.features import FeatureReader
    from kochi.sound.files import duration_seconds

    pairs = read_pairs(data, "train")
    sample = list(islice(pairs, SAMPLE))
    count = len(sample) + sum(1 for _ in pairs)
    measured = sample[:: max(1, len(sample) // MEASURED)]
    if heard.kind == "sound":
        lengths = [duration_seconds(pair.source) for pair in measured]
        rate = 8000 if _rate(measured[0]) <= 8000 else 16_000
    else:
        reader = FeatureReader.like(measured[0].source, data)
        lengths = [reader.seconds(len(reader.encode(pair.source))) for pair in measured]
        rate = 0
    text = count_side(pair.references[0] for pair in sample)
    return Sizes(count, sum(lengths) / len(lengths), rate, text)


def _rate(pair: Pair) -> int:
    import soundfile

    return soundfile.info(str(pair.source.paths[0])).samplerate


def _tokens(text: Side) -> str:
    """Choose whole words for a small closed set that is seen often, else characters."""
    closed = text.distinct_words <= CLOSED_WORDS and text.num_words >= 20 * text.distinct_words
    return "whitespace" if closed else "characters"


# --------------------------------------------------------------------------------------- splitting


def _split(heard: Heard, run_file: Path, seed: int) -> tuple[Heard, str]:
    """Write manifests of their own for all splits that come from the training manifest."""
    wanted = [split for split in ("dev", "test") if split not in heard.splits]
    train, folder = heard.splits["train"], run_file.parent / f"{run_file.stem}-data"
    rows = list(_rows(heard))
    keys = [key for key, split, _ in rows if split == "train"]
    try:
        chosen = choose_keys(keys, wanted, seed, len(keys))
    except ValueError as error:
        raise UserError(
            f"{train}: {error} to split off {' and '.join(wanted)}; add rows, or dev and test data"
        ) from None
    written: dict[str, list[str]] = {"train": [], **{split: [] for split in wanted}}
    for key, split, line in rows:
        split = chosen.get(hash_source(key, seed), split) if split == "train" else split
        written.setdefault(split, []).append(line)
    header = _header(heard)
    files = {split: folder / f"{split}.{'jsonl' if header is None else 'tsv'}" for split in written}
    folder.mkdir(parents=True, exist_ok=True)
    for split, found in written.items():
        shown = found if header is None else [header, *found]
        files[split].write_text("".join(f"{line}\n" for line in shown), encoding="utf-8")
    counts = ", ".join(f"{split} {len(found):,}" for split, found in written.items())
    note = f"no dev data found: split the rows into {folder}/ ({counts})"
    arrays = dict.fromkeys(files, heard.arrays["train"]) if heard.arrays else {}
    found = replace(
        heard,
        splits={**heard.splits, **files},
        arrays={**arrays, **heard.arrays},
        split_column=None,
    )
    if train.is_dir():
        return replace(found, source="audio", text="text", audio_folder=train), note
    return replace(found, audio_folder=heard.audio_folder or train.parent), note


def _rows(heard: Heard) -> Iterator[tuple[str, str, str]]:
    """Give what is heard, the split and a line of a manifest for each row of the training data."""
    train = heard.splits["train"]
    if train.is_dir():
        for pair in read_pairs(_data(heard), "train"):
            path = Path.cwd() / pair.source.paths[0]  # it is as seen from here
            name = path.relative_to(train.resolve()).as_posix()
            row = {"audio": name, "text": pair.references[0]}
            yield name, "train", json.dumps(row, ensure_ascii=False)
        return
    rows = read_rows(train)  # checks every line
    stream = lines(train) if _header(heard) is None else islice(lines(train), 1, None)
    for row, line in zip(rows, stream, strict=True):
        split = "train" if heard.split_column is None else str(row.get(heard.split_column))
        yield str(row.get(heard.source)), split, line


def _header(heard: Heard) -> str | None:
    """Return the header of a tab-separated manifest; None for JSON and folders."""
    train = heard.splits["train"]
    if train.is_dir():
        return None
    first = next(lines(train))
    return None if first.lstrip().startswith("{") else first


# --------------------------------------------------------------------------------------- run file


def _text(heard: Heard, sizes: Sizes, tokens: str, run_file: Path, output: str, seed: int) -> str:
    frames = max(1, round(sizes.num_rows * sizes.seconds * 100))
    batch = 1000 * round(min(24_000, max(3000, frames / 200)) / 1000)
    epochs = max(10, min(100, round(STEPS * batch / frames)))
    table = _table(heard, run_file.parent)
    front_end = "front_end.deltas = 1  # how each number changes is put beside it"
    if heard.kind == "sound":
        bins = 40 if sizes.sample_rate_hz == 8000 else 80
        front_end = f"front_end = {{ sample_rate_hz = {sizes.sample_rate_hz}, mel_bins = {bins} }}"
    speeds = "speeds = [0.9, 1.0, 1.1], " if heard.kind == "sound" else ""
    what = "recordings" if heard.kind == "sound" else "rows of features"
    return "\n".join(
        [
            f"# A run file for kochi, written from {sizes.num_rows:,} {what}.",
            f"#   train:  kochi train {run_file.name}",
            f"#   change: edit, or kochi train {run_file.name} --set training.epochs=50",
            "# Paths start at this file's folder.",
            "",
            f"seed = {seed}  # governs everything that is drawn",
            f"output = {_toml(output)}  # the model folder; its folder training/ holds the logs",
            "",
            "[data]",
            *(f"{key} = {_toml(value)}" for key, value in table.items()),
            "# How the text is cut: characters, whitespace (cut at spaces), or bpe.",
            f"target.tokens = {_toml(tokens)}",
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
            "patience = 10  # stop when it has not improved for so many evaluations",
            "",
            "[search]",
            "beam = 5  # 1 is greedy: faster, a little worse",
            "ctc_weight = 0.3  # how much CTC has to say",
            "max_length_ratio = 1.0  # tokens for each place of the memory, at most",
            "",
        ]
    )


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
