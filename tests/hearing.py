"""Tiny data to hear: letters as frames of features, and as tones in files of sound."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

LETTERS = "abc"
FRAMES = 4  # a letter
SIZE = 5  # numbers in a frame
RATE_HZ = 8000
TONE_SECONDS = 0.08
MODEL = """
[model]
kind = "rnn"
embedding_size = 8
hidden_size = 16
dropout = 0.0
encoder = { kind = "pyramid", hidden_size = 16, layers = 2, halvings = 1, dropout = 0.0 }
attention.score = "general"

[training]
epochs = 2
batch_tokens = 60
learning_rate = 0.02
schedule = { kind = "constant", warmup_steps = 0 }
label_smoothing = 0.0
metric = "cer"

[search]
beam = 1
batch_size = 4
max_length_ratio = 1.0
max_length_extra = 2
"""
# What makes a model of these tones one that writes while they still come.
STREAMING = (
    "training.epochs=30",
    "training.metric=loss",
    "training.ctc_weight=0.3",
    "training.learning_rate=0.01",
    "model.order=luong",
    "model.first_state=learned",
    "model.hidden_size=24",
    "model.attention.score=location_aware",
    "model.attention.selection=monotonic",
    "data.front_end.deltas=1",
)
ENCODERS = {
    "conv_rnn": '{ kind = "conv_rnn", channels = 4, hidden_size = 24, layers = 2, dropout = 0.0, '
    "bidirectional = false }",
    "pyramid": '{ kind = "pyramid", hidden_size = 24, layers = 3, halvings = 2, dropout = 0.0, '
    "bidirectional = false }",
}
WORDS = ["".join(letters) for count in (1, 2, 3) for letters in product(LETTERS, repeat=count)]


def frames_of(word: str) -> np.ndarray:
    """Each letter is four frames: one number says which, two say when."""
    rows = []
    for letter in word:
        for place in range(FRAMES):
            row = np.zeros(SIZE, np.float32)
            row[LETTERS.index(letter)] = 3.0
            row[3:] = place, FRAMES - place
            rows.append(row)
    return np.array(rows, np.float32)


def write_features(folder: Path) -> Path:
    """Write the task as features and its run file; return the run file."""
    lines = ["id\ttext", *(f"row-{word}\t{word}" for word in WORDS)]
    (folder / "train.tsv").write_text("\n".join(lines) + "\n")
    (folder / "dev.tsv").write_text("\n".join([lines[0], *lines[1::4]]) + "\n")
    arrays: dict[str, Any] = {f"row-{word}": frames_of(word) for word in WORDS}
    np.savez(folder / "all.npz", **arrays)
    data = """
[data]
kind = "features"
train = { manifest = "train.tsv", arrays = "all.npz" }
dev = { manifest = "dev.tsv", arrays = "all.npz" }
test = { manifest = "dev.tsv", arrays = "all.npz" }
target.tokens = "characters"
"""
    run_file = folder / "run.toml"
    run_file.write_text(data + MODEL)
    return run_file


def samples_of(word: str) -> np.ndarray:
    """Each letter is a tone of its own."""
    times = np.arange(round(TONE_SECONDS * RATE_HZ)) / RATE_HZ
    tones = [np.sin(2 * np.pi * 400 * (1 + LETTERS.index(letter)) * times) for letter in word]
    return np.round(8000 * np.concatenate(tones)).astype(np.int16)


def write_sounds(folder: Path, words: list[str] = WORDS) -> Path:
    """Write the task as recordings with a manifest, and its run file; return the run file."""
    (folder / "wav").mkdir()
    for word in words:
        soundfile.write(folder / "wav" / f"{word}.wav", samples_of(word), RATE_HZ)
    rows = ["audio\tsplit\ttext"]
    for number, word in enumerate(words):
        rows.append(f"{word}.wav\ttrain\t{word}")
        if number % 4 == 0:
            rows += [f"{word}.wav\t{split}\t{word}" for split in ("dev", "test")]
    (folder / "all.tsv").write_text("\n".join(rows) + "\n")
    data = f"""
[data]
kind = "sound"
train = "all.tsv"
dev = "all.tsv"
test = "all.tsv"
split_column = "split"
audio_folder = "wav"
target.tokens = "characters"
front_end = {{ sample_rate_hz = {RATE_HZ}, mel_bins = 12 }}
"""
    run_file = folder / "run.toml"
    run_file.write_text(data + MODEL)
    return run_file
