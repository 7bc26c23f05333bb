"""Where does the time of a training step go, against the limit that matrix products set?

For Transformer-Tiny and the BiLSTM with additive attention: the operations of all matrix products
of a step are counted, a large matrix product shows what the machine can do, and a profile shares
the time out over kinds of work.
"""

import sys
from typing import Any

from common import WORKERS, Measures, Options, Page, measure, read_options

NAMES = {"tiny": "Transformer-Tiny", "rnn-luong": "BiLSTM 256, additive, input feeding"}
PRECISIONS = {"highest": "fp32", "medium": "medium"}
NOTES = """Counted are the multiplications and additions of all matrix products, forward and
backward, scaled from one counted step to the tokens of the timed ones. The limit is the time that
these operations would take at the speed of one 2048 x 2048 x 2048 product; the small products of
these models cannot reach it. The shares come from a profile, whose own cost falls mostly on what is
many and small."""


def measure_steps(options: Options) -> dict[str, Any]:
    steps = "2" if options.quick else "5"
    contestants = {}
    for model, name in NAMES.items():
        for precision, shown in PRECISIONS.items():
            command = [sys.executable, WORKERS / "kochi_profile.py", model, precision]
            folder = options.work / "profile" / f"{model}-{precision}"
            contestants[f"{name}, {shown}"] = [*command, options.text(), folder, steps]
    found: dict[str, list[Measures]] = measure("profile", contestants, options)
    return {name: rounds[0] for name, rounds in found.items()}


def limit_row(name: str, found: dict[str, Any]) -> list[str]:
    steps, seconds = found["steps"], found["seconds"]
    operations = found["operations"] * found["tokens"] / found["operations_tokens"]
    limit = operations / found["large_product"]
    return [
        name,
        f"{found['tokens'] / seconds:,.0f}",
        f"{1000 * seconds / steps:.0f}",
        f"{operations / steps * 1e-9:.1f}",
        f"{operations / seconds * 1e-9:.0f}",
        f"{found['large_product'] * 1e-9:.0f}",
        f"{1000 * limit / steps:.0f}",
        f"{100 * limit / seconds:.0f} %",
    ]


def share_rows(found: dict[str, Any]) -> list[list[str]]:
    kinds = sorted({kind for one in found.values() for kind in one["kinds"]})
    first = next(iter(found.values()))["kinds"]
    kinds.sort(key=lambda kind: -first.get(kind, 0.0))
    return [
        [
            kind,
            *(
                f"{100 * o['kinds'].get(kind, 0) / o['profiled_seconds']:.1f}"
                for o in found.values()
            ),
        ]
        for kind in kinds
    ]


def main() -> None:
    options = read_options(__doc__ or "", rounds=1)
    found = measure_steps(options)
    page = Page("where-time-goes", "Where the time of a training step goes", options)
    page.add(" ".join(NOTES.split()))
    head = ["", "tokens/s", "ms a step", "GFLOP a step", "GFLOP/s", "GFLOP/s of a large product"]
    rows = [limit_row(name, one) for name, one in found.items()]
    page.add_table([*head, "limit, ms a step", "limit / time"], rows)
    page.add("Share of the profiled time, percent:")
    page.add_table(["", *found], share_rows(found))
    costs = (
        f"{name} {o['profiled_seconds'] / o['profiled_tokens'] / o['seconds'] * o['tokens']:.2f}"
        for name, o in found.items()
    )
    page.add(f"Time a token with the profiler over time without: {'; '.join(costs)}.")
    page.write()


if __name__ == "__main__":
    main()
