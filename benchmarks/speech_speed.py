"""How fast are training, answering and listening on sound, and does a long file fit?

The real-time factor is seconds of computing for each second of sound; below 1 keeps up with it. All
on made-up sound of 16 kHz, 40 mel bins, a BiLSTM over strided convolutions (128 in each direction)
and location-aware attention; listening with one direction and monotonic attention.
"""

import sys

from common import WORKERS, Command, Measures, Options, Page, measure, read_options, values

NOTES = """Training: real steps of `kochi train` on batches of a minute of sound, log-mel frames,
speed perturbation and SpecAugment included; the time of 2 steps is taken off that of many, so that
reading the data and saving drop out. Answering: 80 recordings of 3 s; the models have hardly
learned, so that most answers are as long as they may be (half as many tokens as positions, 37): a
worst case. Listening: a file read in blocks of 0.1 s, as fast as it goes; the peak is the largest
resident size of the process, which has neither trained nor written the file."""
LENGTHS = 1, 10  # minutes
LIMIT_MB = 50.0


def contestants(options: Options) -> dict[str, Command]:
    steps, rounds = (2, 1) if options.quick else (20, 2)
    worker, folder = WORKERS / "kochi_speech.py", options.work / "speech"
    sizes = {"train": ("train", steps), "answer": ("answer", rounds)}
    sizes |= {f"listen, {minutes} min": ("listen", minutes) for minutes in LENGTHS}
    return {
        name: [sys.executable, worker, folder, what, str(size)]
        for name, (what, size) in sizes.items()
    }


def growth(found: dict[str, list[Measures]]) -> float:
    """Return how many MB the long file took beyond the short one, at most over the rounds."""
    short, long = (values(found, f"listen, {minutes} min", "peak_mb") for minutes in LENGTHS)
    return max(more - less for less, more in zip(short, long, strict=True))


def main() -> None:
    options = read_options(__doc__ or "", rounds=3)
    found = measure("speech-speed", contestants(options), options)
    page = Page("speech-speed", "How fast kochi hears", options)
    page.add(" ".join(NOTES.split()))
    page.add_measures(found, "factor", "real-time factor")
    page.add_measures(found, "peak_mb", "peak, MB")
    more = growth(found)
    verdict = "met" if more < LIMIT_MB else "**not met**"
    page.add(
        f"The longer file took {more:.1f} MB more than the minute before it; demanded: bounded "
        f"memory, here under {LIMIT_MB:g} MB: {verdict}."
    )
    page.write()


if __name__ == "__main__":
    main()
