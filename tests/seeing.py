"""Tiny data to see: letters as blocks of colour, one beside the other, with boxes."""

import json
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}
SIDE = 8  # pixels of a block
MODEL = """
[model]
kind = "rnn"
order = "xu"
embedding_size = 12
hidden_size = 16
dropout = 0.0
encoder = { kind = "cnn", channels = [8], patch = 4, dropout = 0.0 }
attention.score = "general"

[training]
epochs = 2
batch_tokens = 16
learning_rate = 0.01
schedule = { kind = "constant", warmup_steps = 0 }
label_smoothing = 0.0
metric = "exact"

[search]
beam = 1
batch_size = 4
max_length_extra = 3
"""
ROWS = [names for count in (1, 2, 3) for names in product(COLOURS, repeat=count)]


def picture_of(names: tuple[str, ...]) -> np.ndarray:
    """Return white pixels with a block of colour a name, from the left."""
    pixels = np.full((SIDE, SIDE * 3, 3), 255, np.uint8)
    for place, name in enumerate(names):
        pixels[:, SIDE * place : SIDE * (place + 1)] = COLOURS[name]
    return pixels


def save(pixels: np.ndarray, path: Path) -> None:
    Image.fromarray(pixels).save(path)


def write_pictures(folder: Path) -> Path:
    """Write the task as pictures with a manifest, and its run file; return the run file."""
    (folder / "png").mkdir()
    rows = ["image\tsplit\ttext\tboxes"]
    for number, names in enumerate(ROWS):
        name = "-".join(names)
        save(picture_of(names), folder / "png" / f"{name}.png")
        boxes = json.dumps([[i, SIDE * i, 0, SIDE * (i + 1), SIDE] for i in range(len(names))])
        splits = ["train", "dev", "test"] if number % 4 == 0 else ["train"]
        rows += [f"{name}.png\t{split}\t{' '.join(names)}\t{boxes}" for split in splits]
    (folder / "all.tsv").write_text("\n".join(rows) + "\n")
    data = f"""
[data]
kind = "picture"
train = "all.tsv"
dev = "all.tsv"
test = "all.tsv"
split_column = "split"
image_folder = "png"
boxes_column = "boxes"
target.tokens = "whitespace"
front_end = {{ height = {SIDE}, width = {3 * SIDE} }}
"""
    run_file = folder / "run.toml"
    run_file.write_text(data + MODEL)
    return run_file
