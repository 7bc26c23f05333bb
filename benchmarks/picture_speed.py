"""How many pictures a second are trained on and captioned, and is either bound by loading?

Drawn scenes of 64 x 64 pixels with captions of some ten words, batches of 32; a small residual
network with the recurrent decoder of Xu et al. 2015, and patches with a Transformer.
"""

import statistics
import sys

from common import (
    WORKERS,
    Command,
    Measures,
    Options,
    Page,
    Ratio,
    measure,
    read_options,
    values,
)

NOTES = """Training: real steps of `kochi train`, distortion included; the time of 2 steps is taken
off that of many, so that reading the data and saving drop out. Batches: those of an epoch without a
model, from the corpus, which keeps what was decoded and fitted once, as training makes them; and as
they would come if every epoch decoded the files again, four at a time. Captioning: 768 pictures, 16
at once, by `predict_stream`, which reads the next ones while the last ones are answered; from
pixels in memory (nothing to load), from small PNG files, and from JPEG files of 640 x 480 pixels,
which are made smaller. "Reading alone" decodes and fits and answers nothing. The models are trained
for 60 steps only."""
IN_MEMORY, LARGE = "pixels in memory", "JPEG of 640 x 480"


def contestants(options: Options) -> dict[str, Command]:
    steps, rounds = (2, 1) if options.quick else (60, 3)
    worker, folder = WORKERS / "kochi_pictures.py", options.work / "pictures"
    sizes = {"train": steps, "batches": rounds, "answer": rounds}
    return {what: [sys.executable, worker, folder, what, str(size)] for what, size in sizes.items()}


def kept(found: dict[str, list[Measures]], system: str) -> float:
    """Return the share of the rate that is left when large files are to be loaded, too."""
    loaded, ready = (
        statistics.median(values(found, f"answer {system}, {kind}", "rate"))
        for kind in (LARGE, IN_MEMORY)
    )
    return loaded / ready


def main() -> None:
    options = read_options(__doc__ or "", rounds=3)
    found = measure("picture-speed", contestants(options), options)
    page = Page("picture-speed", "How fast kochi sees", options)
    page.add(" ".join(NOTES.split()))
    page.add_measures(found, "rate", "pictures per second")
    systems = [f"{name}, beam {beam}" for name in ("CNN and RNN", "ViT and Transformer")
               for beam in (1, 3)]  # fmt: skip
    shares = [f"{system}: {kept(found, system):.0%}" for system in systems]
    page.add(f"Of the rate from memory, loading large JPEG files leaves {'; '.join(shares)}.")
    page.add_ratios(
        [
            Ratio(
                f"batches of {LARGE}: from the corpus over decoded each time",
                values(found, f"batches from the corpus, {LARGE}", "rate"),
                values(found, f"batches decoded each time, {LARGE}", "rate"),
            )
        ]
    )
    page.write()


if __name__ == "__main__":
    main()
