"""How much memory does training on five million pairs take?

Five million pairs of 5 to 15 words are made up and trained on with a small model by the real
``kochi train``, from text: tokenizer, corpus, a few hundred steps. The resident size is read all
the while. Pages of mapped files count in it although the system can take them back at any time;
the anonymous part, which it cannot, is given beside.
"""

import sys
from typing import Any

from common import WORKERS, Options, Page, measure, read_options

PAIRS, QUICK_PAIRS = 5_000_000, 50_000
STEPS, QUICK_STEPS = 300, 5
LIMIT_GB = 1.5


def write_page(options: Options, pairs: int, found: dict[str, Any]) -> None:
    page = Page("memory-5m", f"Memory of training on {pairs:,} pairs", options)
    rows = [
        [p["name"], f"{p['seconds']:.1f}", f"{p['resident']:.2f}", f"{p['anonymous']:.2f}"]
        for p in found["phases"]
    ]
    page.add_table(["phase", "seconds", "peak resident GB", "peak anonymous GB"], rows)
    peak = found["peak"]
    verdict = "met" if peak < LIMIT_GB else "**not met**"
    page.add(
        f"Largest resident size: **{peak:.2f} GB** ({peak * 1e9 / 2**30:.2f} GiB); demanded: "
        f"under {LIMIT_GB} GB: {verdict}."
    )
    page.write()


def main() -> None:
    options = read_options(__doc__ or "", rounds=1)
    pairs, steps = (QUICK_PAIRS, QUICK_STEPS) if options.quick else (PAIRS, STEPS)
    script = WORKERS / "kochi_memory.py"
    command = [sys.executable, script, options.work / "memory", str(pairs), str(steps)]
    found: dict[str, Any] = measure("memory", {"kochi train": command}, options)
    write_page(options, pairs, found["kochi train"][0])


if __name__ == "__main__":
    main()
