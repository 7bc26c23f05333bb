"""What do the kernels of attention gain over the plain formula, and does the rule choose well?

The additive and the location-aware score by blocks against the formula; a window of 128 against
SDPA over everything; the windows of local-m and local-p against the formula; and over a grid of
shapes and dtypes the chosen kernel for dot products against the fastest.
"""

import math
import statistics
import sys

from common import WORKERS, Command, Measures, Options, Page, Ratio, measure, read_options, values

LENGTHS = (2048, 4096, 8192, 16384)
COMPARED = 8192
LOCAL_COMPARED = 2048
KERNELS = ("reference", "sdpa", "dense", "blocked")
EXPONENT, EXTRA_MB, SHARE = 1.15, 20.0, 0.9
NOTES = """Each process times forward and backward passes and gives the fastest. Memory is what the
first call adds to the largest resident size beyond outputs and gradients. The additive score: batch
8, 128 queries, 512 keys, hidden size 256. The window: 64 positions to the left and 63 to the right,
4 heads of 32, one sequence. Local-m and local-p: windows of 21 positions, 4 heads of 32, target and
source of equal length, projections included. The location-aware score: batch 16, 40 queries one
after the other, 400 keys, hidden size 256."""


def contestants(options: Options) -> dict[str, Command]:
    worker, few = WORKERS / "kochi_kernels.py", "1" if options.quick else "3"
    commands: dict[str, Command] = {}
    for name in ("naive", "blocked"):
        commands[f"additive {name}"] = [sys.executable, worker, "additive", name, few]
    for length in LENGTHS:
        commands[f"banded {length}"] = [
            sys.executable,
            worker,
            "window",
            "banded",
            str(length),
            "10" if not options.quick else few,
        ]
        if length <= COMPARED:
            commands[f"sdpa {length}"] = [
                sys.executable,
                worker,
                "window",
                "sdpa",
                str(length),
                few,
            ]
    for length in LENGTHS:
        for scope in ("local_m", "local_p"):
            call = [sys.executable, worker, scope]
            commands[f"{scope} windowed {length}"] = [*call, "windowed", str(length), few]
            if length <= LOCAL_COMPARED:
                commands[f"{scope} reference {length}"] = [*call, "reference", str(length), few]
    for name in ("reference", "blocked"):
        call = [sys.executable, worker, "location_aware", name, few]
        commands[f"location-aware {name}"] = call
    commands["grid"] = [sys.executable, worker, "grid", "2" if options.quick else "15"]
    return commands


def exponent(found: dict[str, list[Measures]], name: str, what: str) -> list[float]:
    """Return the slope of the logarithms over the lengths, round by round."""
    rounds = [values(found, f"{name} {length}", what) for length in LENGTHS]
    lengths = [math.log(length) for length in LENGTHS]
    return [
        statistics.linear_regression(lengths, [math.log(max(v, 1e-3)) for v in one]).slope
        for one in zip(*rounds, strict=True)
    ]


def ratios(found: dict[str, list[Measures]]) -> list[Ratio]:
    def times(name: str) -> list[float]:
        return values(found, name, "milliseconds")

    extra = values(found, "additive blocked", "extra_mb")
    growth = exponent(found, "banded", "milliseconds")
    ones = [1.0] * len(extra)
    located = "location-aware reference", "location-aware blocked"
    local = []
    for scope in ("local_m", "local_p"):
        slow = times(f"{scope} reference {LOCAL_COMPARED}")
        fast = times(f"{scope} windowed {LOCAL_COMPARED}")
        slope = exponent(found, f"{scope} windowed", "milliseconds")
        local += [
            Ratio(f"{scope}, length {LOCAL_COMPARED}: time of the formula / windowed", slow, fast),
            Ratio(f"{scope}: exponent of time over length", slope, ones, None, EXPONENT),
        ]
    window = times(f"sdpa {COMPARED}"), times(f"banded {COMPARED}")
    return [
        Ratio("additive: time of the formula / blocked", *_pair(found, "milliseconds"), 2.0),
        Ratio("additive: MB beyond outputs and gradients, blocked", extra, ones, None, EXTRA_MB),
        Ratio("additive: MB of the formula / blocked", *_pair(found, "extra_mb")),
        Ratio(f"length {COMPARED}: time of global SDPA / window of 128", *window, 10.0),
        Ratio("window of 128: exponent of time over length", growth, ones, None, EXPONENT),
        *local,
        Ratio("location-aware: MB of the formula / blocked", *_pair(found, "extra_mb", *located)),
        Ratio(
            "location-aware: time of the formula / blocked", *_pair(found, "milliseconds", *located)
        ),
    ]


def _pair(
    found: dict[str, list[Measures]],
    what: str,
    one: str = "additive naive",
    other: str = "additive blocked",
) -> tuple[list[float], list[float]]:
    upper, lower = values(found, one, what), values(found, other, what)
    return upper, [max(value, 0.1) for value in lower]


def grid_rows(found: dict[str, list[Measures]]) -> list[list[str]]:
    rows = []
    for label, rounds in found.items():
        if not label.startswith("grid "):
            continue
        served = [name for name in KERNELS if name in rounds[0]]
        times = {name: min(one[name] for one in rounds) for name in served}
        chosen = KERNELS[int(rounds[0]["chosen"])]
        share = min(times.values()) / times[chosen]
        verdict = "" if share >= SHARE else "**not met**"
        shown = (f"{times[name]:.3g}" if name in times else "" for name in KERNELS)
        rows.append([label.removeprefix("grid "), *shown, chosen, f"{share:.2f}", verdict])
    return rows


def main() -> None:
    options = read_options(__doc__ or "", rounds=3)
    found = measure("attention-kernels", contestants(options), options)
    page = Page("attention-kernels", "The kernels of attention", options)
    page.add(" ".join(NOTES.split()))
    shown = {name: one for name, one in found.items() if not name.startswith("grid ")}
    page.add_measures(shown, "milliseconds", "milliseconds, forward and backward")
    page.add_measures(shown, "extra_mb", "MB beyond outputs and gradients")
    page.add_ratios(ratios(found))
    page.add(
        "Sentences x queries x keys, 4 heads of 32 for dot products, one of 256 for the additive "
        "score, a mask of the keys: milliseconds of each kernel (the fastest of all rounds), and "
        f"the fastest over the chosen one, at least {SHARE}:"
    )
    page.add_table(["", *KERNELS, "chosen", "fastest / chosen", ""], grid_rows(found))
    page.write()


if __name__ == "__main__":
    main()
