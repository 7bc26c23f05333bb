"""How far off are the times of words, where they are known?

    python recipes/fsdd_times.py MODEL DATA [--split dev]

DATA is the folder of recipes/fsdd.toml. Its strings of digits are joined from recordings of single
ones, so that each word begins and ends where its recording does. Prints the mean error over the
strings that MODEL (made with recipes/fsdd.toml) hears right, with a 95 % bootstrap interval over
the strings; and that of words of equal length over the whole string, a guess without listening.
"""

import argparse
import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile

import kochi
from kochi.metrics.bootstrap import interval, resampled_totals, resampled_values
from kochi.modalities.audio.files import Recording

Spans = list[tuple[float, float]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Check the times of words on joined digits.")
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test", choices=("dev", "test"))
    given = parser.parse_args()
    with (given.data / "connected.tsv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["split"] == given.split]
    folder = given.data / "recordings"
    files = [[folder / name for name in row["files"].split()] for row in rows]
    predictor = kochi.load(given.model)
    answers = predictor.predict([Recording(tuple(names)) for names in files], need_alignment=True)
    found: dict[str, list[tuple[float, float, int]]] = {"times": [], "spread evenly": []}
    for row, names, answer in zip(rows, files, answers, strict=True):
        if answer.text == row["text"]:
            assert isinstance(answer, kochi.AudioPrediction) and answer.words is not None
            true = joined(names)
            words = [(word.start_seconds, word.end_seconds) for word in answer.words]
            found["times"].append(errors(words, true))
            found["spread evenly"].append(errors(evenly(true), true))
    print(f"{len(found['times'])} of {len(rows)} strings heard right")
    for name, each in found.items():
        totals = resampled_totals(np.array(each), 1000, seed=1)
        for side, what in enumerate(("starts", "ends")):
            low, high = interval(resampled_values(totals, lambda t, s=side: t[s] / t[2]), 95.0)
            mean = sum(one[side] for one in each) / sum(one[2] for one in each)
            print(f"{name}: {what} {1e3 * mean:.0f} ms off [{1e3 * low:.0f}, {1e3 * high:.0f}]")


def joined(names: list[Path]) -> Spans:
    """Say where each recording begins and ends in those joined."""
    edges = np.cumsum([0.0, *(soundfile.info(str(name)).duration for name in names)]).tolist()
    return list(pairwise(edges))


def evenly(true: Spans) -> Spans:
    """Give as many spans of equal length."""
    edges = np.linspace(0.0, true[-1][1], len(true) + 1).tolist()
    return list(pairwise(edges))


def errors(spans: Spans, true: Spans) -> tuple[float, float, int]:
    """Add up how far starts and ends are off, and count them."""
    difference = np.abs(np.array(spans) - np.array(true)).sum(0)
    return float(difference[0]), float(difference[1]), len(true)


if __name__ == "__main__":
    main()
