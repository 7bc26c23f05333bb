"""Time training, reading and captioning on drawn scenes; see picture_speed.py.

python kochi_pictures.py FOLDER (train | batches | answer) SIZE

SIZE is a number of steps or of rounds.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import kochi
from kochi.config import Run, check_run
from kochi.data.batches import TokenBatches
from kochi.data.corpus import Corpus
from kochi.data.tokenizer import train_tokenizer
from kochi.modalities.image.reader import PictureReader
from kochi.modalities.image.tables import PictureData
from kochi.modalities.pairs import read_pairs
from kochi.scenes.drawing import draw_picture
from kochi.scenes.writing import make_scene
from kochi.training import train
from kochi.training.progress import Progress

NUM_PICTURES, BATCH, AT_ONCE = 768, 32, 16
PHOTO = 640, 480  # a file that costs something to decode; the scene fills its middle
FILES = {"PNG of 64 x 64": "png", "JPEG of 640 x 480": "jpg"}
CNN = {"kind": "cnn", "channels": [32, 64], "patch": 2}
XU = {"kind": "rnn", "order": "xu", "embedding_size": 64, "hidden_size": 128, "encoder": CNN}
VIT = {"kind": "vit", "patch": 8, "size": 128, "layers": 4}
TRANSFORMER = {"kind": "transformer", "size": 128, "decoder_layers": 3, "encoder": VIT}
MODELS: dict[str, dict[str, Any]] = {"CNN and RNN": XU, "ViT and Transformer": TRANSFORMER}


def main() -> None:
    folder, what, size = Path(sys.argv[1]) / sys.argv[2], sys.argv[2], int(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    write_pictures(folder)
    timed = {"train": time_training, "batches": time_batches, "answer": time_answers}
    found = timed[what]
    print(json.dumps(found(folder, size)))


def write_pictures(folder: Path) -> None:
    """Write each scene as a small PNG and as a large JPEG."""
    rows = ["image\ttext"]
    for number in range(NUM_PICTURES):
        scene = make_scene(1, "train", number)
        image = Image.fromarray(draw_picture(scene))
        image.save(folder / f"{number}.png")
        image.resize(PHOTO, Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=90)
        rows.append(f"{number}.png\t{scene.caption}")
    (folder / "all.tsv").write_text("\n".join(rows) + "\n")


def make_run(folder: Path, model: dict[str, Any], steps: int) -> Run:
    tree = {
        "output": folder / f"{model['kind']}-{steps}",
        "data": {
            "kind": "picture",
            "folder": folder,
            "train": "all.tsv",
            "dev": "all.tsv",
            "target": {"tokens": "whitespace"},
        },
        "model": model,
        "training": {
            "max_steps": steps,
            "epochs": 10_000,
            "batch_tokens": 64 * BATCH,
            "distortion": {"shift": 0.05},
            "evaluate_every": steps,
            "metric": "loss",
            "accelerator": "cpu",
        },
        "search": {"max_length_ratio": 0.05, "max_length_extra": 12},
    }
    return check_run(tree, "the benchmark's run")


def trained(folder: Path, model: dict[str, Any], steps: int) -> Path:
    return train(make_run(folder, model, steps), overwrite=True, progress=Progress(silent=True))


def time_training(folder: Path, steps: int) -> dict[str, dict[str, float]]:
    """Take the time that more steps take: what comes before and after them drops out."""
    found = {}
    for name, model in MODELS.items():
        taken = []
        for count in (2, 2 + steps):
            began = time.perf_counter()
            trained(folder, model, count)
            taken.append(time.perf_counter() - began)
        found[name] = {"rate": steps * BATCH / (taken[1] - taken[0])}
    return found


def time_batches(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Make the batches of an epoch: from the corpus, as training does, and from the files."""
    data = make_run(folder, XU, 1).data
    assert isinstance(data, PictureData)
    reader = PictureReader(front_end=data.front_end)
    pairs = list(read_pairs(data, "train"))
    target = train_tokenizer(data.target, (pair.references[0] for pair in pairs))
    found: dict[str, dict[str, float]] = {}
    for kind, ending in FILES.items():
        some = files(folder, ending)
        filed = [replace(pair, source=file) for pair, file in zip(pairs, some, strict=True)]
        corpus = Corpus.build(filed, reader, target, folder / f"corpus-{ending}", 100)
        batches = TokenBatches(corpus, 64 * BATCH, seed=1, reader=reader)
        found[f"from the corpus, {kind}"] = {"rate": rate(partial(list, batches), rounds)}
        decoding = partial(decode, reader, some)
        found[f"decoded each time, {kind}"] = {"rate": rate(decoding, rounds)}
    return found


def decode(reader: PictureReader, some: list[Path]) -> None:
    for start in range(0, len(some), BATCH):
        reader.batch(reader.encode_batch(some[start : start + BATCH]))


def time_answers(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    ready = [np.asarray(Image.open(file)) for file in files(folder, "png")]
    sources: dict[str, list[Any]] = {"pixels in memory": ready}
    sources |= {kind: files(folder, ending) for kind, ending in FILES.items()}
    found: dict[str, dict[str, float]] = {}
    for name, model in MODELS.items():
        predictor = kochi.load(trained(folder, model, 60), device="cpu")
        for kind, some in sources.items():
            reading = partial(predictor.source.encode_batch, some)
            found[f"reading alone, {kind}"] = {"rate": rate(reading, rounds)}
            for beam in (1, 3):
                answering = partial(answer, predictor, some, beam)
                found[f"{name}, beam {beam}, {kind}"] = {"rate": rate(answering, rounds)}
    return found


def answer(predictor: kochi.Predictor, sources: list[Any], beam: int) -> None:
    for _ in predictor.predict_stream(sources, beam=beam, batch_size=AT_ONCE):
        pass


def files(folder: Path, ending: str) -> list[Path]:
    return [folder / f"{number}.{ending}" for number in range(NUM_PICTURES)]


def rate(work: Callable[[], Any], rounds: int) -> float:
    """Return pictures per second of wall time."""
    work()
    began = time.perf_counter()
    for _ in range(rounds):
        work()
    return rounds * NUM_PICTURES / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
