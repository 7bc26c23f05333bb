"""Give damaged and hostile files to the command, and report what goes wrong.

python -m tests.fuzz                                20,000 cases of all kinds
python -m tests.fuzz --kind arrays --count 500      500 cases of one kind
python -m tests.fuzz --kind arrays --case 123       one case again; its files are kept
"""

import argparse
import importlib
import os
import pkgutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.registry import CASES, KINDS
from tests.fuzz.runner import by_cause, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run cases; return 1 where one failed."""
    options = _parser().parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"  # threads do not survive a fork
    _import_all()
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        seeds = options.seeds or Path(temporary)
        options.saved.mkdir(parents=True, exist_ok=True)
        print(f"seed {options.seed}")
        print(f"{'kind':<18}{'cases':>7}{'exit 0':>8}{'1':>7}{'2':>7}{'faults':>8}{'seconds':>9}")
        for name in options.kind or KINDS:
            share = max(1, round(KINDS[name].share * options.total / CASES))
            numbers = range(options.first, options.first + (options.count or share))
            numbers = numbers if options.case is None else [options.case]
            saved = options.saved.resolve()
            report = run(name, KINDS[name], numbers, options.seed, seeds.resolve(), saved)
            codes = "".join(
                f"{report.codes[code]:>{width}}" for code, width in ((0, 8), (1, 7), (2, 7))
            )
            print(
                f"{name:<18}{len(numbers):>7}{codes}{len(report.faults):>8}{report.seconds:>9.1f}"
            )
            if report.faults:
                print(by_cause(report.faults))
            sys.stdout.flush()
            failed += len(report.faults)
    return 1 if failed else 0


def _import_all() -> None:
    """Import once what the processes of the cases, which are forked, would import each."""
    import lightning_fabric  # noqa: F401
    import matplotlib.backends.backend_agg  # noqa: F401
    import torch.utils.tensorboard  # noqa: F401

    import kochi

    for module in pkgutil.walk_packages(kochi.__path__, "kochi."):
        if not module.name.endswith(("__main__", "triton_programs")):
            importlib.import_module(module.name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kind", choices=KINDS, action="append", help="of this kind; repeatable")
    total = "cases of all kinds together, of which each has its share; 20,000"
    parser.add_argument("--total", type=int, default=20_000, help=total)
    parser.add_argument("--count", type=int, help="cases of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--case", type=int, help="run this one alone")
    parser.add_argument("--seed", type=int, default=1, help="governs all that is drawn; 1")
    parser.add_argument("--seeds", type=Path, help="keep the trained models in this folder")
    parser.add_argument("--saved", type=Path, default=Path(".fuzz"), help="folder of what failed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
