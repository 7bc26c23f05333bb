"""What does a call of attention cost beyond a module written by hand?

A step of a decoder over projected memory, and training at three lengths; beside a module around
SDPA, ``nn.MultiheadAttention`` and additive attention as tutorials write it; eager and compiled.
"""

import sys

from common import WORKERS, Page, Ratio, measure, read_options, values

LIMITS = {  # of the ratio to the module written by hand
    "step, 1 sentence": 1.5,
    "step, 64 sentences": 1.15,
    "training, 16 x 64 x 64": 1.15,
    "training, 4 x 512 x 512": 1.03,
    "training, 1 x 4,096 x 4,096": 1.03,
}
NOTES = """Steps: 32 keys, 4 heads, size 128, no gradient, the memory projected once
(`nn.MultiheadAttention` cannot, and projects it in each call). Training: forward and backward,
projections included; 4 heads and size 256, or 8 and 512. All contestants run in turn in one process
per round; a figure is the median over its turns."""


def main() -> None:
    options = read_options(__doc__ or "", rounds=3)
    worker, turns = WORKERS / "kochi_overhead.py", "1" if options.quick else "9"
    modes = ("eager", "compiled")
    commands = {mode: [sys.executable, worker, mode, turns] for mode in modes}
    found = measure("attention-overhead", commands, options)
    page = Page("attention-overhead", "Overhead of attention", options)
    page.add(NOTES)
    page.add_measures(found, "microseconds", "microseconds")
    ratios: list[Ratio] = []
    for mode in modes:
        for case, limit in LIMITS.items():
            label = f"{mode} {case}"
            for ours, theirs in (("kochi", "by hand"), ("kochi additive", "Bahdanau by hand")):
                if f"{label}: {ours}" not in found:
                    continue
                upper = values(found, f"{label}: {ours}", "microseconds")
                lower = values(found, f"{label}: {theirs}", "microseconds")
                name = f"{label}: {ours} / {theirs}"
                ratios.append(Ratio(name, upper, lower, at_most=limit))
    page.add_ratios(ratios)
    page.write()


if __name__ == "__main__":
    main()
