"""Time training, answering and listening on made-up sound; see speech_speed.py.

python kochi_speech.py FOLDER (train | answer | listen) SIZE

SIZE is a number of steps, of rounds, or of minutes. Who listens has its model trained and its file
written by a process of its own (``prepare``), so that the peak is that of listening alone.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import kochi
from kochi.config import Run, check_run
from kochi.modalities.audio.blocks import read_blocks
from kochi.modalities.audio.streaming import Listener
from kochi.training import train
from kochi.training.progress import Progress

RATE_HZ = 16_000
UTTERANCE_SECONDS = 3.0
NUM_UTTERANCES, BATCH = 80, 20
BATCH_FRAMES = 20 * 298  # frames of 10 ms that 20 utterances have
ENCODER = {"kind": "conv_rnn", "channels": 16, "hidden_size": 128, "layers": 2}
MODEL = {"kind": "rnn", "order": "luong", "embedding_size": 64, "hidden_size": 128}
OFFLINE = {**MODEL, "encoder": ENCODER, "attention": {"score": "location_aware"}}
STREAMING = {
    **MODEL,
    "first_state": "learned",
    "encoder": {**ENCODER, "bidirectional": False},
    "attention": {"score": "additive", "selection": "monotonic"},
}


def main() -> None:
    folder, what, size = Path(sys.argv[1]) / sys.argv[2], sys.argv[2], int(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    write_utterances(folder)
    if what == "prepare":
        trained(folder, STREAMING, 2)
        sound(folder / "long.wav", 60.0 * size, np.random.default_rng(2))
        return
    found = {"train": time_training, "answer": time_answers, "listen": time_listening}[what]
    print(json.dumps(found(folder, size)))


def write_utterances(folder: Path) -> None:
    chance = np.random.default_rng(1)
    rows = ["audio\ttext"]
    for number in range(NUM_UTTERANCES):
        sound(folder / f"{number}.wav", UTTERANCE_SECONDS, chance)
        rows.append(f"{number}.wav\t{' '.join(chance.choice(list('abcdefgh'), 12))}")
    (folder / "all.tsv").write_text("\n".join(rows) + "\n")


def sound(path: Path, seconds: float, chance: np.random.Generator) -> None:
    """Write tones that change five times a second, with noise."""
    count = round(5 * seconds)
    times = np.arange(RATE_HZ // 5) / RATE_HZ
    tones = [np.sin(2 * np.pi * hz * times) for hz in chance.uniform(200, 3000, count)]
    samples = np.concatenate(tones) * 8000 + chance.normal(0, 300, count * len(times))
    soundfile.write(path, samples.astype(np.int16), RATE_HZ)


def make_run(folder: Path, model: dict[str, Any], steps: int) -> Run:
    tree = {
        "output": folder / f"model-{steps}",
        "data": {
            "kind": "sound",
            "folder": folder,
            "train": "all.tsv",
            "dev": "all.tsv",
            "target": {"tokens": "whitespace"},
            "front_end": {"mel_bins": 40},
        },
        "model": model,
        "training": {
            "max_steps": steps,
            "epochs": 1000,
            "batch_tokens": BATCH_FRAMES,
            "ctc_weight": 0.3,
            "augmentation": {"speeds": [0.9, 1.0, 1.1], "time_width": 20},
            "evaluate_every": steps,
            "metric": "loss",
            "accelerator": "cpu",
        },
        "search": {"max_length_ratio": 0.5},
    }
    return check_run(tree, "the benchmark's run")


def trained(folder: Path, model: dict[str, Any], steps: int) -> Path:
    return train(make_run(folder, model, steps), overwrite=True, progress=Progress(silent=True))


def time_training(folder: Path, steps: int) -> dict[str, dict[str, float]]:
    """Take the time that more steps take: what comes before and after them drops out."""
    taken = []
    for count in (2, 2 + steps):
        began = time.perf_counter()
        trained(folder, OFFLINE, count)
        taken.append(time.perf_counter() - began)
    seconds = steps * BATCH * UTTERANCE_SECONDS
    return {"": {"factor": (taken[1] - taken[0]) / seconds}}


def time_answers(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    predictor = kochi.load(trained(folder, OFFLINE, 2), device="cpu")
    files = [folder / f"{number}.wav" for number in range(NUM_UTTERANCES)]
    found = {}
    for name, beam, batch in (("greedy", 1, 64), ("beam 5", 5, 64), ("beam 5, one by one", 5, 1)):
        predictor.predict(files[:4], beam=beam, batch_size=batch)
        began = time.perf_counter()
        for _ in range(rounds):
            predictor.predict(files, beam=beam, batch_size=batch)
        seconds = rounds * NUM_UTTERANCES * UTTERANCE_SECONDS
        found[name] = {"factor": (time.perf_counter() - began) / seconds}
    return found


def time_listening(folder: Path, minutes: int) -> dict[str, dict[str, float]]:
    """Listen to so many minutes."""
    subprocess.run([sys.executable, __file__, folder, "prepare", str(minutes)], check=True)
    made = folder / "prepare"
    listener = Listener(kochi.load(made / "model-2", device="cpu"))
    began = time.perf_counter()
    tokens = sum(1 for _ in listener.listen(read_blocks(made / "long.wav", RATE_HZ)))
    taken = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"": {"factor": taken / (60.0 * minutes), "peak_mb": peak, "tokens": tokens}}


if __name__ == "__main__":
    main()
