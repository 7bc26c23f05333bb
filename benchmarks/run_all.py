"""Run all benchmarks one after the other and write their result pages.

    python benchmarks/run_all.py --data DATA [--peers PEERS]

DATA is a folder laid out like Multi30k's raw text. What is finished is kept: a benchmark that is
interrupted goes on where it stopped, as long as neither kochi nor the benchmarks changed.
"""

import argparse
import subprocess
import sys
import time

from common import HERE, PEER_SCRIPTS, add_options, missing_data

PARTS = (
    "import_time",
    "train_speed",
    "decode_speed",
    "where_time_goes",
    "attention_kernels",
    "attention_overhead",
    "attention_costs",
    "speech_speed",
    "picture_speed",
    "hard_gradient",
    "memory_5m",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    add_options(parser)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="some of them")
    found = parser.parse_args()
    if found.data is None or not any(found.data.glob("train*.en*")):
        parser.error(missing_data(found.data))
    setup = [sys.executable, PEER_SCRIPTS / "setup.py", "--peers", found.peers]
    subprocess.run(setup, check=True)
    failed = []
    for part in found.only:
        started = time.perf_counter()
        done = subprocess.run([sys.executable, HERE / f"{part}.py", *_common(found)])
        print(f"{part}: {time.perf_counter() - started:.0f} s, exit code {done.returncode}\n")
        if done.returncode:
            failed.append(part)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _common(found: argparse.Namespace) -> list[str]:
    words = []
    for name in ("data", "peers", "work", "results", "threads"):
        words += [f"--{name}", str(getattr(found, name))]
    return words + [f"--{name}" for name in ("quick", "again") if getattr(found, name)]


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


if __name__ == "__main__":
    main()
